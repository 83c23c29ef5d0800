"""Files and folders that appear whole or not at all: written under another name, then renamed.

Owns the names of unfinished files and folders, the only module that renames anything, and what
is on the disk by then. A process that was killed leaves unfinished ones behind; the next one that
writes the same thing removes them, if it can tell that their process is dead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.artifacts.process import is_dead, process_of, this_process
from runner.core.errors import UsageError

SUFFIX = "partial"
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
"""Errors of a rename to where a folder is."""
MOST_FLUSHED = 16
"""Files of a folder that are flushed one by one; more are flushed with all that the disk has."""

ABANDONED_SECONDS = 7 * 86400
"""After so long without a change, what an unknown process left counts as abandoned: one of another
host, of a container that is gone, or of a version that named unfinished files otherwise."""


@contextmanager
def whole_file(final: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; what is written there becomes ``final`` at the end of the block.

    After an error nothing is left, and ``final`` stays as it was.

    Args:
        final: the file, in a folder that exists.
        durable: wait until the content is on the disk, so that a power cut cannot empty the file.
    """
    partial = partial_path(final)
    try:
        yield partial
        put_file(partial, final, durable)
    finally:
        remove_partial(partial)


def refuse_place(final: Path) -> None:
    """Refuse a file that a person names and that could not be written, before any work.

    Raises:
        UsageError: when it is a folder or a device, lies in none, or must not be written there.
    """
    folder = final.parent
    if os.path.isdir(final):
        raise UsageError(f"{final} is a folder", hint="give a file")
    if os.path.exists(final) and not os.path.isfile(final):  # it would be taken away
        raise UsageError(f"{final} is no regular file", hint="give a file")
    if not os.path.isdir(folder):
        raise UsageError(f"no folder {folder} for {final.name}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{final} cannot be written: no right to write in {folder}")
    try:
        os.lstat(partial_path(final))
    except FileNotFoundError:
        return
    except OSError as error:  # of a long name
        raise UsageError(f"{final} cannot be written: {error.strerror}") from None


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give a folder to write to, which becomes ``final`` at the end of the block.

    After an error nothing is left. Of two processes that write the same folder, the last one wins;
    a process that has mapped a file of the folder before goes on reading that.
    """
    partial = partial_path(final)
    partial.mkdir(parents=True)
    try:
        yield partial
        put_folder(partial, final)
    finally:
        remove_partial(partial)


def put_file(partial: Path, final: Path, durable: bool = True) -> None:
    """Rename a written file to its final path, replacing what is there."""
    if durable:
        flush(partial)
    partial.replace(final)


def put_folder(partial: Path, final: Path, replacing: bool = True) -> None:
    """Rename a written folder to its final path.

    Args:
        partial: a whole folder, written by this process.
        final: the final path.
        replacing: whether it replaces a folder that is there; else that one stays.
    """
    _flush_files(partial)
    old = partial_path(final.with_name(f"{final.name}-old"))
    while True:
        try:
            partial.rename(final)
            return
        except OSError as error:
            if not (final.exists() if replacing else final.is_dir()):
                if error.errno not in TAKEN or final.exists():
                    raise
                continue  # another process has taken it away since
        if not replacing:
            return
        with contextlib.suppress(FileNotFoundError):
            final.rename(old)
        remove_partial(old)


def partial_path(final: Path) -> Path:
    """Return where this process may write what becomes ``final``; nothing is there.

    What dead processes left beside ``final`` is removed.
    """
    mine = final.with_name(f"{final.name}.{this_process().tag()}.{SUFFIX}")
    for left, tag in _unfinished(final):
        if left == mine or _is_abandoned(left, tag):
            remove_partial(left)
    return mine


def is_being_written(final: Path) -> bool:
    """Return whether another process, which lives on this machine, writes what becomes ``final``.

    Of other machines' processes nobody knows whether they live.
    """
    owners = [process_of(tag) for _, tag in _unfinished(final)]
    return any(
        owner is not None
        and owner.is_of_this_boot()
        and owner.pid != this_process().pid
        and not is_dead(owner)
        for owner in owners
    )


def _unfinished(final: Path) -> Iterator[tuple[Path, str]]:
    """Yield the unfinished files or folders of ``final``, with the tags of their processes."""
    before, after = f"{final.name}.", f".{SUFFIX}"
    for name in _names(final.parent):
        if name.startswith(before) and name.endswith(after) and len(name) > len(before + after):
            yield final.with_name(name), name[len(before) : -len(after)]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_abandoned(left: Path, tag: str) -> bool:
    """Return whether an unfinished file or folder is no living process's, by its name and age."""
    owner = process_of(tag)
    if owner is not None:
        return is_dead(owner)
    try:
        inside = list(left.iterdir()) if left.is_dir() else []
        changed = max(each.stat().st_mtime for each in (left, *inside))
    except OSError:  # another process has just removed it
        return False
    return changed < time.time() - ABANDONED_SECONDS


def remove_partial(path: Path) -> None:
    """Remove an unfinished file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def take_away(final: Path) -> None:
    """Remove a file or folder at once: nobody finds a part of it.

    Raises:
        OSError: when it cannot be renamed; it stays as it was.
    """
    partial = partial_path(final)
    final.rename(partial)
    remove_partial(partial)


def flush(path: Path) -> None:
    """Wait until a written file is on the disk, so that a power cut cannot empty it later."""
    handle = os.open(path, os.O_RDONLY)  # an unpacked file may be read-only
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_files(folder: Path) -> None:
    """Wait until the files of a folder are on the disk: a renamed folder may get there sooner."""
    files: list[Path] = []
    for each in folder.rglob("*"):
        if each.is_file() and not each.is_symlink():
            files.append(each)
        if len(files) > MOST_FLUSHED:
            os.sync()
            return
    for each in files:
        flush(each)
