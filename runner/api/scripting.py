"""The verb `new --script`: a recorded run as a plain PyTorch script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.api.listing import recorded_reference
from runner.bind.named_runs import find_record
from runner.bind.pretrained import find_recorded
from runner.bind.run_images import RunImages, run_images
from runner.bind.trained_models import recorded_settings
from runner.bind.workspace import workspace
from runner.components.data.dataset import DataAccess
from runner.components.data.finding import find_root
from runner.components.data.imagefolder import HOW_TO_GET, ImageFolder
from runner.components.data.split_folders import split_parts
from runner.components.data.split_paths import SplitPaths
from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.settings import Settings
from runner.core.artifacts import pixels_name
from runner.core.errors import UsageError
from runner.report.script.supported import refuse_own_code, refuse_unwritten
from runner.report.script.writing import ScriptData, official_splits, script_text
from runner.store.progress import artifact_digests


@dataclass(frozen=True, slots=True)
class NewScript:
    """A run as a plain PyTorch script.

    Attributes:
        run_key: of the run.
        text: of the script.
        path: its file, or None where none was written.
    """

    run_key: str
    text: str
    path: Path | None

    def __str__(self) -> str:
        return self.text


def new_script(
    name: str,
    out: str | None = None,
    db: str | Path | None = None,
    data: str | Path | None = None,
) -> NewScript:
    """Write a plain PyTorch script of a finished run, which prints the numbers of its record.

    Args:
        name: the run, as in :func:`runner.api.show`.
        out: the file, which must not be there yet; the run's key with .py when not given; "-" for
            none.
        db: the database; results.db when not given.
        data: where the run's data and pretrained weights are looked for first; RUNNER_DATA when not
            given.

    Raises:
        UsageError: when nothing or several runs are meant, the run is not done, it uses a setting
            for which no script is written, its images are gone, or the file is there already.
    """
    home = workspace(db, data)
    with home.open(create=False) as database:
        record = find_record(database, name)
        if record["status"] != "done":
            raise UsageError(f"run {name} is {record['status']}: scripts are of runs that are done")
        refuse_own_code(record["settings"])
        settings = recorded_settings(record)
        refuse_unwritten(settings)
        spec = Path(str(record["cells"][0]["path"])) if record["cells"] else Path("spec.yaml")
        access = home.data_access(spec)
        images = run_images(home, settings.data, str(record["fingerprint"]), access)
        pixels = pixels_name(images.key)
        digest = artifact_digests(database, [pixels]).get(pixels, "")
    text = _text(record, settings, images, digest, access)
    if out == "-":
        return NewScript(record["run_key"], text, None)
    path = Path(out or f"{record['run_key'][:12]}.py")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="give another --out") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return NewScript(record["run_key"], text, path)


def _text(
    record: Mapping[str, Any],
    settings: Settings,
    images: RunImages,
    digest: str,
    access: DataAccess,
) -> str:
    from runner.engine.inference.network_source import network_source

    weights = None
    if isinstance(settings.model, TorchvisionModel) and settings.model.weights is not None:
        weights = find_recorded(settings.model, access)
    found = ScriptData(
        folders=_folders(settings, images, access),
        classes=images.classes,
        official=official_splits(tuple(images.official)),
        num_images=len(images.names),
        digest=digest,
        shape=images.shape,
    )
    source = network_source(settings, images.shape, len(images.classes), weights)
    where = "" if weights is None else str(weights.resolve())
    return script_text(settings, found, source, where, _about(record))


def _folders(settings: Settings, images: RunImages, access: DataAccess) -> dict[str, str]:
    """Return the folder of each split of images in class folders, of all others that under ""."""
    data = settings.data
    assert images.find is not None
    root = images.find().root
    if isinstance(data, ImageFolder) and isinstance(data.path, SplitPaths):
        paths = data.path.given()
        return {split: str(find_root(access, path, HOW_TO_GET)) for split, path in paths.items()}
    if root is None:
        return {}
    if not isinstance(data, ImageFolder):
        return {"": str(root.parent.resolve())}
    assert isinstance(data.path, str)
    parts = split_parts(root, data.path, data.include)
    if not parts:
        return {"train": str(root.resolve())}
    return {split: str((root / part).resolve()) for split, part in parts.items()}


def _about(record: Mapping[str, Any]) -> str:
    """Return which run it is and what is recorded of it, in lines."""
    result = record["result"]
    best = next(each for each in record["epochs"] if each["epoch"] == result["best_epoch"])
    numbers = [f"{name} {best[name]:.4f}" for name in sorted(best) if name.endswith("accuracy")]
    called = f" ({recorded_reference(record['cells'][0])})" if record["cells"] else ""
    return (
        f"Run {record['run_key'][:12]}{called}, written by runner.\n"
        f"Recorded on {result['device']}: best epoch {result['best_epoch']} of"
        f" {result['last_epoch']}: {', '.join(numbers)}."
    )
