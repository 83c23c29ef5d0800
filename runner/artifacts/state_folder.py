"""The folder of a state: a file of tensors and a JSON with a checksum.

The JSON is renamed last, so that a kill at any moment leaves the state before or the new one. Owns
how a state is written, read and removed. Knows neither what is in the tensors nor which states
there are.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from runner.artifacts.atomic import SUFFIX, partial_path, put_file, remove_partial, whole_file
from runner.artifacts.folder import CHECKPOINT
from runner.artifacts.hashes import file_digest
from runner.core.moments import reached

TENSORS = ".safetensors"
FORMAT, WITHIN_FORMAT = 4, 5
"""Of states after epochs, and within them. Raised when what a state holds changes; others are not
continued: versions that know no state within an epoch take none for one after it."""
VALUES: Mapping[str, type | tuple[type, ...]] = {
    "epoch": int,
    "segment": str,
    "readers": list,
    "history": list,
    "best_epochs": list,
    "reads": list,
    "inputs": dict,
    "numerics": dict,
    "written": dict,
    "diverged_if": (int, float),
}
"""What a state says of itself that is asked for before it is loaded."""


def put_state(
    folder: Path,
    values: Mapping[str, Any],
    write: Callable[[Path], str],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a state to ``folder`` and remove the one before it.

    The tensors' file is named after its digest: of two processes that write the same state, the
    JSON of one never speaks of the tensors of the other. Where another process, for lack of room,
    removes the folder meanwhile, all of it is written again, once.

    Args:
        folder: of the state.
        values: all but the tensors, JSON only, with the ``epoch``.
        write: writes the tensors to a file and returns its SHA-256, in hexadecimal.
        check: called before they take their place; what it raises leaves what was there.

    Raises:
        OSError: when the disk is full; the one before it is kept, and nothing else.
    """
    try:
        _put(folder, values, write, check)
    except FileNotFoundError:
        if not folder.parent.is_dir():  # more than this one was removed
            raise
        _put(folder, values, write, check)


def _put(
    folder: Path,
    values: Mapping[str, Any],
    write: Callable[[Path], str],
    check: Callable[[], None],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    epoch = f"epoch-{values['epoch']}"
    tensors, name = partial_path(folder / epoch), ""
    try:
        digest = write(tensors)
        reached("tensors written, not renamed")
        name = f"{epoch}-{digest[:16]}{TENSORS}"
        with whole_file(folder / CHECKPOINT) as described:
            form = WITHIN_FORMAT if "started" in values else FORMAT
            content = {**values, "format": form, "file": name, "sha256": digest}
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


def remove_unfinished_files(folder: Path) -> None:
    """Remove what dead processes have left of a state that was to be kept for others.

    Nobody writes such a state again whose training has ended.
    """
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
    while values is not None:
        path = folder / str(values["file"])
        with contextlib.suppress(OSError, KeyError):
            if file_digest(path) == values["sha256"]:
                return values, path
        before, values = values, describe_state(folder)
        if values == before:  # else another process has just replaced it
            return None
    return None


def is_described(values: object) -> bool:
    """Return whether this is what a state says of itself, which a damaged file may not."""
    return (
        isinstance(values, dict)
        and values.get("format") == (WITHIN_FORMAT if "started" in values else FORMAT)
        and all(isinstance(values.get(name), kind) for name, kind in VALUES.items())
        and ("started" not in values or steps_of(values) > 0)
    )


def read_description(text: str) -> Mapping[str, Any] | None:
    """Return what a state says of itself, by the content of its JSON; None of what is no state."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if is_described(values) else None


def steps_of(values: Mapping[str, Any]) -> int:
    """Return how many steps of the next epoch a state has seen, 0 of one after an epoch."""
    started = values.get("started")
    losses = started.get("losses") if isinstance(started, dict) else None
    return len(losses) if isinstance(losses, list) else 0


def describe_state(folder: Path) -> Mapping[str, Any] | None:
    """Return the values of the state in ``folder`` without its tensors, None without one.

    Whether the tensors are whole is not looked at.
    """
    text, before = _description(folder), ""
    while text != before:  # another process may just have replaced it, and removed its tensors
        values = _described(folder, text)
        if values is not None:
            return values
        text, before = _description(folder), text
    return None


def _description(folder: Path) -> str:
    """Return the text of the JSON in ``folder``, "" where none can be read."""
    try:
        return (folder / CHECKPOINT).read_text()
    except (OSError, ValueError):
        return ""


def _described(folder: Path, text: str) -> Mapping[str, Any] | None:
    """Return what a state says of itself, None where its tensors do not lie beside."""
    try:
        values = json.loads(text)
        name = str(values["file"])
        is_there = is_described(values) and (folder / name).exists()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_beside = name == Path(name).name  # whatever a file from elsewhere says
    return values if is_there and is_beside else None


def remove_state(folder: Path) -> None:
    """Remove a state that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)


def mark_used(folder: Path) -> None:
    """Note that a state is used now, so that others go first; it may be gone all the same."""
    with contextlib.suppress(OSError):
        os.utime(folder / CHECKPOINT)
