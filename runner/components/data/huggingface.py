"""Data sets of the Hugging Face Hub, or a folder of their Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from runner.components.component import PATH_FIELD
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.files import HashedFiles
from runner.components.data.finding import find_root
from runner.components.data.hub import PARQUET, HubSet, require_hub
from runner.components.data.invalid import InvalidData
from runner.components.data.joining import split_notes
from runner.components.data.labelled import by_split, training_classes
from runner.components.data.listing import enumerated
from runner.components.data.parquet_images import ParquetPart, image_reader, read_part
from runner.components.data.split_folders import SPLIT_OF
from runner.components.data.splitting import SPLITS, Split
from runner.core.keys import content_key

HOW_TO_GET = (
    "give a folder of Parquet files, absolute or relative to --data (RUNNER_DATA), ./data, the"
    " current folder or the spec's folder"
)
NAME = r"^[\w-][\w.-]*/[\w-][\w.-]*@[\w-][\w.-]*(/[\w-][\w.-]*)*$"
"""OWNER/SET@REVISION, where a revision may have parts; no part begins with a dot."""

Text = Annotated[str, Field(min_length=1)]


class HuggingFace(FractionDataset):
    """A data set of the Hugging Face Hub, `name: owner/set@revision`, or its Parquet files, `path`.

    `pip install "runner[hf]"`. Of a set on the Hub the Parquet files are fetched, never code; many
    sets of another form have them at `@refs/convert/parquet`. Its splits train, validation and test
    are used as those of folders are: where one is not there, a fraction of the training images is
    drawn. Classes have their order on the Hub.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataset": "huggingface", "name": "owner/set@main"}]}
    )

    dataset: Literal["huggingface"]
    name: str | None = Field(
        None,
        pattern=NAME,
        description="owner/set@revision: a commit, tag or branch",
        json_schema_extra=PATH_FIELD,
    )
    path: Text | None = Field(
        None,
        description="a folder of Parquet files, in place of `name`",
        json_schema_extra=PATH_FIELD,
    )
    config: Text | None = Field(
        None, description="which of several configurations; its name, or that of its folder"
    )
    image: Text | None = Field(
        None, description="column of the images; when not given, the only one of that kind"
    )
    label: Text | None = Field(
        None, description="column of the labels; when not given, the only one of that kind"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.path is None):
            raise ValueError("give name: owner/set@revision, or path: a folder of its files")
        return self

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: images by split, file and row.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            InvalidData: when the package that reads it is not installed, or its files cannot be
                used.
            OSError: when a file cannot be read.
        """
        require_hub()
        root = self._root(access)
        found, others = split_files(root, self.config)
        used = {name for names in found.values() for name in names}
        parts = {
            split: [read_part(root / name, self.image, self.label) for name in names]
            for split, names in found.items()
        }
        notes = []
        if others:
            notes.append(f"left out of {root}, since no training uses them: {enumerated(others)}")
        elif self.config is None and (unused := sorted(_parquet_files(root) - used)):
            notes.append(f"left out of {root}, since of no split: {enumerated(unused)}")
        return _source(access, root, found, parts, notes)

    def _root(self, access: DataAccess) -> Path:
        if self.name is None:
            return find_root(access, self.path or "", HOW_TO_GET)
        repository, _, revision = self.name.partition("@")
        hub = HubSet(repository, revision)
        return find_root(access, hub.folder, hub.how_to_get(), hub)


def split_files(root: Path, config: str | None) -> tuple[dict[Split, list[str]], list[str]]:
    """Return the Parquet files of each split, relative to a folder, and the names of other splits.

    Which file is of which split is said by the folder's README.md, or by names of files and
    folders, as the package `datasets` reads them.

    Args:
        root: the folder.
        config: name of a configuration, or of a folder in ``root``.

    Raises:
        InvalidData: when the package cannot tell, or there are no training images.
    """
    from datasets import load_dataset_builder

    home = root.resolve()
    inner = home / config if config and (home / config).is_dir() else None
    try:
        # nothing is prepared, so that nothing need be kept
        with TemporaryDirectory() as empty:
            called = None if inner else config
            builder = load_dataset_builder(str(inner or home), called, cache_dir=empty)
        given = builder.config.data_files or {}
    except Exception as error:  # of many kinds, by what in the folder is not as expected
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = "; ".join(lines[1:3])
        raise InvalidData(f"{root} cannot be read as a data set: {lines[0]}", hint) from None
    found: dict[Split, list[str]] = {}
    others = []
    for name_of_split, files in given.items():
        names = [_relative(Path(file), home) for file in files]
        wrong = [name for name in names if not name.endswith(PARQUET)]
        if wrong:
            raise InvalidData(
                f"{root}: files that are not Parquet: {enumerated(wrong)}", "give Parquet files"
            )
        split = SPLIT_OF.get(str(name_of_split).lower())
        if split is None:
            others.append(str(name_of_split))
        else:
            found.setdefault(split, []).extend(names)
    if "train" not in found:
        there = enumerated(map(str, given)) or "none"
        raise InvalidData(f"{root} has no split train, but {there}")
    return {split: sorted(found[split]) for split in SPLITS if split in found}, others


def _parquet_files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob(f"*{PARQUET}")}


def _relative(file: Path, home: Path) -> str:
    try:
        return file.resolve().relative_to(home).as_posix()
    except ValueError:
        raise InvalidData(f"{home} names a file outside of it: {file}") from None


def _source(
    access: DataAccess,
    root: Path,
    found: Mapping[Split, list[str]],
    parts: Mapping[Split, list[ParquetPart]],
    notes: list[str],
) -> ImageSource:
    """Return the source of the parts of each split."""
    every = [part for own in parts.values() for part in own]
    first = every[0]
    for part in every[1:]:
        if (part.names, part.image, part.label) != (first.names, first.image, first.label):
            raise InvalidData(
                f"{part.path} and {first.path} differ in their columns or classes",
                "name the columns: image: …, label: …",
                "label",
            )
    names: list[str] = []
    splits: list[Split] = []
    labels: list[str] = []
    for split, own in parts.items():
        texts = [label for part in own for label in part.labels]
        names += [f"{split}/{number:08d}" for number in range(len(texts))]
        splits += [split] * len(texts)
        labels += texts

    def places(label: str) -> list[str]:
        return [name for name, each in zip(names, labels, strict=True) if each == label]

    split_labels = by_split(labels, splits)
    classes = training_classes(split_labels, places, str(root))
    if first.names is not None:
        known = set(classes)
        absent = [name for name in first.names if name not in known]
        classes = tuple(name for name in first.names if name in known)
        if absent:
            notes.append(f"{root} has no training images of {enumerated(absent)}")
    notes += split_notes(split_labels, classes, {}, str(root))
    numbers = {name: number for number, name in enumerate(classes)}
    files = [name for own in found.values() for name in own]
    digests = access.hash_files(root, files)
    sizes = tuple((root / name).stat().st_size for name in files)
    hashed = HashedFiles(root, tuple(files), tuple(digests), sizes, access)
    of_file = dict(zip(files, digests, strict=True))
    identity = {
        "splits": {split: [of_file[name] for name in own] for split, own in found.items()},
        "columns": [first.image, first.label],
    }
    return ImageSource(
        names=tuple(names),
        labels=tuple(numbers[label] for label in labels),
        classes=classes,
        splits=tuple(splits),
        fingerprint=content_key("fingerprint", {"huggingface": identity}),
        read=image_reader(every, hashed),
        root=root,
        notes=tuple(notes),
    )
