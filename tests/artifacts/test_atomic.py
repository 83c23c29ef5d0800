"""Files and folders that appear whole or not at all; who may remove what is unfinished."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runner.artifacts import atomic
from runner.artifacts.atomic import (
    ABANDONED_SECONDS,
    partial_path,
    put_folder,
    whole_file,
    whole_folder,
)
from runner.artifacts.process import Process, this_process

SAME_NAME = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
ASK = "import sys; from pathlib import Path; from runner.artifacts.atomic import partial_path;"


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


@pytest.fixture
def sleeping() -> Iterator[Process]:
    """A living process of this host."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield process_with(child.pid)
        child.kill()


def process_with(pid: int) -> Process:
    from runner.artifacts.process import start_ticks

    started = psutil.Process(pid).create_time()
    return replace(this_process(), pid=pid, started=started, ticks=start_ticks(pid))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def left_by(process: Process, final: Path) -> Path:
    """Write what a process leaves unfinished beside a file."""
    left = final.with_name(f"{final.name}.{process.tag()}.partial")
    left.write_text("half")
    return left


def test_file_appears_at_the_end_of_the_block(final: Path) -> None:
    with whole_file(final) as partial:
        partial.write_text("all of it")
        assert not final.exists()
    assert final.read_text() == "all of it"
    assert names(final.parent) == [final.name]


def test_file_stays_as_before_after_an_error(final: Path) -> None:
    final.write_text("before")

    def fail() -> None:
        with whole_file(final) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert final.read_text() == "before"
    assert names(final.parent) == [final.name]


def test_folder_replaces_the_one_before(tmp_path: Path) -> None:
    final = tmp_path / "key"
    for text in ("first", "second"):
        with whole_folder(final) as partial:
            (partial / "index.json").write_text(text)
    assert (final / "index.json").read_text() == "second"
    assert names(tmp_path) == ["key"]


def test_folder_that_does_not_replace_leaves_the_one_before(tmp_path: Path) -> None:
    final, written = tmp_path / "photos", tmp_path / "unpacked"
    for folder in (final, written):
        folder.mkdir()
        (folder / "a.png").write_text(folder.name)
    put_folder(written, final, replacing=False)
    assert (final / "a.png").read_text() == "photos"


def test_folder_in_the_place_of_a_file_is_an_error_when_it_does_not_replace(tmp_path: Path) -> None:
    final, written = tmp_path / "photos", tmp_path / "unpacked"
    final.write_text("a file")
    written.mkdir()
    with pytest.raises(NotADirectoryError):
        put_folder(written, final, replacing=False)


@pytest.mark.parametrize("replacing", [True, False])
def test_folder_that_another_process_takes_away_meanwhile_is_no_error(
    final: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacing: bool
) -> None:
    written = tmp_path / "written"
    for folder in (written, final):
        folder.mkdir()
        (folder / "weights").write_text(folder.name)
    rename = Path.rename

    def taken_away(path: Path, target: Path) -> Path:
        try:
            return rename(path, target)
        except OSError:
            shutil.rmtree(final)  # between the rename that fails and the look whether it is there
            raise

    monkeypatch.setattr(Path, "rename", taken_away)
    put_folder(written, final, replacing)
    assert (final / "weights").read_text() == "written"


def test_folder_flushes_read_only_files_too(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "key") as partial:
        (partial / "a.png").write_text("read only")
        (partial / "a.png").chmod(0o444)
    assert (tmp_path / "key" / "a.png").read_text() == "read only"


def test_partial_file_of_a_dead_process_is_removed(final: Path, sleeping: Process) -> None:
    reused = replace(sleeping, ticks=(sleeping.ticks or 0) - 1, started=sleeping.started - 60)
    before_the_reboot = replace(this_process(), boot_id="before", started=psutil.boot_time() - 3600)
    for dead in (replace(sleeping, pid=2**22 + 1), reused, before_the_reboot):
        left = left_by(dead, final)
        partial_path(final)
        assert not left.exists()


def test_partial_file_of_a_living_process_stays(final: Path, sleeping: Process) -> None:
    left = left_by(sleeping, final)
    assert partial_path(final) != left
    assert left.exists()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            lambda me: replace(me, host=f"{me.host} (pid:[4026532201])"), id="in a container"
        ),
        pytest.param(
            lambda me: replace(me, boot_id="its own", started=time.time()), id="on a machine"
        ),
    ],
)
def test_partial_file_of_another_host_of_the_same_name_stays(
    other: Callable[[Process], Process], final: Path
) -> None:
    """Its pid means nothing here."""
    left = left_by(other(replace(this_process(), pid=2**22 + 1)), final)
    partial_path(final)
    assert left.exists()


def test_container_of_the_same_host_name_leaves_partial_files_alone(
    final: Path,
) -> None:
    """A real one, as far as Linux is asked: pids of its own, and the same name of the host."""
    if shutil.which("unshare") is None or subprocess.run([*SAME_NAME, "true"]).returncode:
        pytest.skip("no pid namespaces can be made here")
    with whole_file(final) as partial:
        partial.write_text("all of it")
        ask = [sys.executable, "-c", f"{ASK} print(partial_path(Path(sys.argv[1])))", str(final)]
        answer = subprocess.run([*SAME_NAME, *ask], capture_output=True, text=True, check=True)
        assert answer.stdout.strip() != str(partial)
        assert partial.read_text() == "all of it"
    assert final.read_text() == "all of it"


def test_partial_file_of_an_unknown_process_is_removed_after_a_week(tmp_path: Path) -> None:
    """Of a container that is gone, or of a version of the program with other names."""
    final = tmp_path / "key"
    old = [tmp_path / f"key.{owner}.partial" for owner in ("0123abcd-0123abcd-7-1700000000", "h.7")]
    fresh, inside = tmp_path / "key.other.7.partial", tmp_path / "key.busy.7.partial"
    long_ago = time.time() - ABANDONED_SECONDS - 60
    for folder in (*old, fresh, inside):
        folder.mkdir()
        (folder / "pixels.npy").write_text("half")
    for path in (*old, *(each / "pixels.npy" for each in old), inside):
        os.utime(path, (long_ago, long_ago))
    partial_path(final)
    assert names(tmp_path) == [inside.name, fresh.name]


def test_partial_file_with_marks_of_patterns_in_its_name_is_removed(
    tmp_path: Path, sleeping: Process
) -> None:
    final = tmp_path / "loss [train]*.png"
    left = left_by(replace(sleeping, pid=2**22 + 1), final)
    partial_path(final)
    assert not left.exists()


def test_partial_folder_of_another_folder_is_left_alone(tmp_path: Path) -> None:
    mine, other = tmp_path / "key", tmp_path / "key-old"
    with whole_folder(other) as partial:
        partial_path(mine)
        assert partial.is_dir()


def test_partial_file_is_told_apart_without_ticks(
    final: Path, sleeping: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.artifacts.process.start_ticks", lambda pid: None)
    living = replace(sleeping, ticks=None)
    left = left_by(living, final)
    partial_path(final)
    assert left.exists()
    left = left_by(replace(living, started=living.started - 3600), final)
    partial_path(final)
    assert not left.exists()


def test_folder_of_many_files_is_flushed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(atomic, "flush", lambda path: calls.append(path.name))
    monkeypatch.setattr("os.sync", lambda: calls.append("sync"))
    for number in (2, 40):
        with whole_folder(tmp_path / "key") as partial:
            for index in range(number):
                (partial / f"{index}").write_text("")
    assert (sorted(calls[:2]), calls[2:]) == (["0", "1"], ["sync"])
