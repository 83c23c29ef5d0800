"""States of trainings on the disk, and checkpoints, which are states of trainings at work.

Owns their folders: a file of tensors and a JSON with a checksum, which is renamed last, so that a
kill at any moment leaves the state before or the new one; and what can be told of states without
their tensors. Knows neither what is in the tensors nor from which state a training goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.artifacts.atomic import SUFFIX, partial_path, put_file, remove_partial, whole_file
from runner.artifacts.folder import CHECKPOINT, Artifacts
from runner.artifacts.hashes import file_digest
from runner.core.artifacts import ArtifactName, checkpoint_name, state_name
from runner.core.moments import reached
from runner.core.plan import ResumePoint
from runner.core.records import EpochRange

TENSORS = ".safetensors"
FORMAT = 4
"""Raised when what a state holds changes; others are not continued."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """A folder with a state.

    Attributes:
        folder: where it lies.
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        stage: key of the training whose checkpoint it is, "" when kept for others.
    """

    folder: Path
    segment: str
    epoch: int
    stage: str = ""

    @property
    def name(self) -> str:
        """Its artifact name."""
        if self.stage:
            return checkpoint_name(self.stage)
        return state_name(self.segment, self.epoch)


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Weights that lie in a state or a checkpoint.

    Attributes:
        name: of its artifact.
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        epochs: whose weights it has, its own last among them.
        waiting: readers of the training that goes on from it, of a checkpoint.
        ranges: which epochs of which attempts lead to it.
        inputs: digests of what was trained on.
        limit: the limit of divergence under which it was made.
    """

    name: str
    segment: str
    epoch: int
    epochs: tuple[int, ...]
    waiting: frozenset[str]
    ranges: Sequence[EpochRange]
    inputs: Mapping[str, str]
    limit: float


def put_state(
    folder: Path,
    values: Mapping[str, Any],
    write: Callable[[Path], str],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a state to ``folder`` and remove the one before it.

    The tensors' file is named after its digest: of two processes that write the same state, the
    JSON of one never speaks of the tensors of the other.

    Args:
        folder: of the state.
        values: all but the tensors, JSON only, with the ``epoch``.
        write: writes the tensors to a file and returns its SHA-256, in hexadecimal.
        check: called before they take their place; what it raises leaves what was there.

    Raises:
        OSError: when the disk is full; the one before it is kept, and nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = f"epoch-{values['epoch']}"
    tensors, name = partial_path(folder / epoch), ""
    try:
        digest = write(tensors)
        reached("tensors written, not renamed")
        name = f"{epoch}-{digest[:16]}{TENSORS}"
        with whole_file(folder / CHECKPOINT) as described:
            content = {**values, "format": FORMAT, "file": name, "sha256": digest}
            described.write_text(json.dumps(content))  # says whose the tensors are, meanwhile
            check()
            put_file(tensors, folder / name)
            reached("tensors in place, not described")
            check()
            before = _file_named(folder)
    except BaseException:
        remove_partial(tensors)
        _remove_unnamed(folder, folder / name)
        raise
    names = _names(folder)
    _remove_abandoned(folder, names)
    for old in names:
        is_other_epoch = not old.startswith(f"{epoch}-")
        # of this epoch, another process may be writing one
        if old.endswith(TENSORS) and (old == before != name or is_other_epoch):
            (folder / old).unlink(missing_ok=True)


def remove_unfinished(artifacts: Artifacts) -> None:
    """Remove what dead processes have left of states that were to be kept for others.

    Nobody writes such a state again whose training has ended.
    """
    for folder in _folders(artifacts.home("states")):
        names = _names(folder)
        if any(name.endswith(SUFFIX) for name in names):
            _remove_abandoned(folder, names)
            names = _names(folder)
        tensors = {name for name in names if name.endswith(TENSORS)}
        is_whole = CHECKPOINT in names and len(tensors) == 1
        if not is_whole and not any(name.endswith(SUFFIX) for name in names):
            for name in tensors - {_file_named(folder)}:
                (folder / name).unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # another process has just removed it
        return []


def _remove_abandoned(folder: Path, names: Iterable[str]) -> None:
    """Remove unfinished files of dead processes."""
    for name in names:
        if name.endswith(SUFFIX):
            final = name.partition(".")[0] if name.startswith("epoch-") else CHECKPOINT
            partial_path(folder / final)


def _remove_unnamed(folder: Path, path: Path) -> None:
    """Remove a file of which the state in ``folder`` does not speak; the folder when empty."""
    if path.name != _file_named(folder) and path != folder:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _file_named(folder: Path) -> str:
    """Return the name of the tensors' file of the state in ``folder``, or ""."""
    try:
        return str(json.loads((folder / CHECKPOINT).read_text())["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def whole_state(folder: Path) -> tuple[Mapping[str, Any], Path] | None:
    """Return the values of the state in ``folder`` and its tensors' file, None of no whole one.

    The tensors are read once, to verify their checksum.
    """
    values = describe_state(folder)
    if values is None:
        return None
    path = folder / str(values["file"])
    try:
        return (values, path) if file_digest(path) == values["sha256"] else None
    except (OSError, KeyError):
        return None


def describe_state(folder: Path) -> Mapping[str, Any] | None:
    """Return the values of the state in ``folder`` without its tensors, None without one.

    Whether the tensors are whole is not looked at.
    """
    try:
        values = json.loads((folder / CHECKPOINT).read_text())
        is_there = values["format"] == FORMAT and (folder / str(values["file"])).exists()
        return values if is_there else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_state(folder: Path) -> None:
    """Remove a state that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)


def mark_used(folder: Path) -> None:
    """Note that a state is used now, so that others go first; it may be gone all the same."""
    with contextlib.suppress(OSError):
        os.utime(folder / CHECKPOINT)


def stored_states(artifacts: Artifacts) -> Iterator[StoredState]:
    """Yield the states that were kept for others, and the checkpoints."""
    for folder in _folders(artifacts.home("states")):
        try:
            state = ArtifactName.parse(state_name_of(folder))
        except ValueError:
            continue
        yield StoredState(folder, state.key, state.epoch)
    for folder in _folders(artifacts.home("checkpoints")):
        values = describe_state(folder)
        if values is not None:
            yield StoredState(folder, values["segment"], values["epoch"], folder.name)


def state_name_of(folder: Path) -> str:
    """Return the artifact name of the state that is kept in a folder."""
    return f"states/{folder.name}"


def _folders(home: Path) -> list[Path]:
    return list(home.iterdir()) if home.is_dir() else []


def names_of_states(artifacts: Artifacts) -> frozenset[str]:
    """Return the artifact names of the states that were kept and seem whole."""
    folders = _folders(artifacts.home("states"))
    return frozenset(state_name_of(each) for each in folders if (each / CHECKPOINT).is_file())


def readers_of_checkpoints(artifacts: Artifacts) -> dict[str, list[str]]:
    """Return the readers that each checkpoint is for, by the key of its training."""
    readers: dict[str, list[str]] = {}
    for folder in _folders(artifacts.home("checkpoints")):
        values = describe_state(folder)
        readers[folder.name] = [] if values is None else list(values["readers"])
    return readers


def remove_checkpoints(artifacts: Artifacts, stage_keys: Collection[str]) -> None:
    """Remove the checkpoints of these trainings."""
    for key in stage_keys:
        remove_state(artifacts.checkpoint(key))


def stored_weights(artifacts: Artifacts, segments: Collection[str]) -> Iterator[StoredWeights]:
    """Yield the weights in the states and checkpoints on paths with these segments."""
    for state, values in _on_segments(artifacts, segments):
        yield StoredWeights(
            name=state.name,
            segment=state.segment,
            epoch=state.epoch,
            epochs=tuple(sorted({*values["best_epochs"], state.epoch})),
            waiting=frozenset(values["readers"] if state.stage else ()),
            ranges=[EpochRange(*each) for each in values["reads"]],
            inputs=values["inputs"],
            limit=values["diverged_if"],
        )


def resume_points(
    artifacts: Artifacts, segments: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[ResumePoint]:
    """Yield from what trainings whose paths have these segments may perhaps go on.

    Args:
        artifacts: of the database.
        segments: the numerics of each by its key; what was made under others is left out. None
            leaves nothing out.
    """
    for state, values in _on_segments(artifacts, segments):
        if segments[state.segment] in (None, values["numerics"]):
            written = (name for name in values["written"] if artifacts.path(name).exists())
            yield ResumePoint(
                segment=state.segment,
                epoch=state.epoch,
                stage=state.stage,
                history=values["history"],
                kept=frozenset(values["best_epochs"]),
                written=frozenset(written),
                limit=values["diverged_if"],
            )


def _on_segments(
    artifacts: Artifacts, segments: Collection[str]
) -> Iterator[tuple[StoredState, Mapping[str, Any]]]:
    for state in stored_states(artifacts):
        values = describe_state(state.folder) if state.segment in segments else None
        if values is not None:
            yield state, values
