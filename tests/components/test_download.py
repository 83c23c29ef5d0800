import errno
import hashlib
import io
import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from servers import Server, serving

from runner.components import download as downloading
from runner.components.download import (
    Checksum,
    DownloadFailed,
    Downloading,
    download,
    show_bytes,
)

CONTENT = bytes(range(256)) * 4000
RIGHT = Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())
KILLED = """
import os, signal, sys
from pathlib import Path
from runner.components.download import Checksum, download

def kill(progress):
    if progress.done:
        os.kill(os.getpid(), signal.SIGKILL)

download(sys.argv[1], Path(sys.argv[2]), Checksum("md5", "00000000"), kill)
"""


@pytest.fixture
def url(server: Server) -> str:
    server.files["content.bin"] = CONTENT
    return f"{server.url}/some/content.bin"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "content.bin"


def silent(progress: Downloading) -> None:
    pass


def failure(url: str, path: Path, checksum: Checksum = RIGHT) -> str:
    """Return what a download that fails says, and check that it leaves nothing behind."""
    with pytest.raises(DownloadFailed) as failed:
        download(url, path, checksum, silent)
    to_do = f"run the same command again, or fetch the file by hand and save it as {path}"
    assert str(failed.value) == f"cannot download {url}: {failed.value.what}\n    hint: {to_do}"
    assert (failed.value.url, failed.value.hint) == (url, to_do)
    assert failed.value.exit_code == 2
    assert not path.parent.exists() or not any(path.parent.iterdir())
    return failed.value.what


@pytest.mark.parametrize(
    ("algorithm", "digits"), [("md5", 32), ("md5", 8), ("sha256", 64), ("sha256", 8)]
)
@pytest.mark.parametrize("tells_length", [True, False])
def test_file_comes_whole(
    server: Server, url: str, path: Path, algorithm: str, digits: int, tells_length: bool
) -> None:
    server.tells_length = tells_length
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    download(url, path, Checksum(algorithm, digest[:digits].upper()), silent)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["content.bin"]
    assert server.asked == ["content.bin"]


def test_progress_begins_at_nothing_and_ends_with_all(url: str, path: Path) -> None:
    told: list[Downloading] = []
    download(url, path, RIGHT, told.append)
    assert told[0] == Downloading("content.bin", 0, len(CONTENT), path)
    assert told[-1] == Downloading("content.bin", len(CONTENT), len(CONTENT), path)


def test_progress_is_told_in_between_but_not_for_every_block(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "BLOCK", 1000)
    monkeypatch.setattr(downloading, "TOLD_SECONDS", 0.5)
    clock = itertools.count(0, 0.01)  # a block takes a hundredth of a second
    monkeypatch.setattr(downloading, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    told: list[int] = []
    download(url, path, RIGHT, lambda progress: told.append(progress.done))
    assert told == sorted(set(told))
    assert 3 <= len(told) <= next(clock) / 0.5 + 2


def test_progress_of_unknown_length_ends_too(server: Server, url: str, path: Path) -> None:
    server.tells_length = False
    told: list[Downloading] = []
    download(url, path, RIGHT, told.append)
    assert told[0].total is None
    assert (told[-1].done, told[-1].total) == (len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_off_is_taken_up_where_the_server_gives_parts(
    server: Server, url: str, path: Path
) -> None:
    server.parts = True
    server.cut_after = len(CONTENT) // 3
    told: list[int] = []
    download(url, path, RIGHT, lambda progress: told.append(progress.done))
    assert path.read_bytes() == CONTENT
    assert server.asked == ["content.bin"] * 4
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


def test_a_file_that_changes_while_it_comes_is_not_mixed(
    server: Server, url: str, path: Path
) -> None:
    server.parts = True
    server.cut_after = 500_000

    def change(name: str) -> None:
        server.tag = '"2"'
        server.files["content.bin"] = CONTENT[::-1]

    server.on_asked = change
    total = len(CONTENT)
    assert failure(url, path) == f"the connection broke off after 500000 of {total} bytes"
    assert len(server.asked) == 2


def test_a_server_that_brings_nothing_more_is_asked_once_again(
    server: Server, url: str, path: Path
) -> None:
    server.parts = True
    server.cut_after = 500_000

    def cut_the_next_at_once(name: str) -> None:
        server.cut_after = 0

    server.on_asked = cut_the_next_at_once
    total = len(CONTENT)
    assert failure(url, path) == f"the connection broke off after 500000 of {total} bytes"
    assert len(server.asked) == 2


def test_a_download_is_not_taken_up_without_end(
    server: Server, url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "MOST_RESUMED", 3)
    server.parts = True
    server.cut_after = 1000
    assert failure(url, path).startswith("the connection broke off after 4000 of ")
    assert len(server.asked) == 4


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_wrong_checksum_is_refused(url: str, path: Path, algorithm: str) -> None:
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    assert failure(url, path, Checksum(algorithm, "0123456789")) == (
        f"the file that came has another checksum: {digest} instead of {algorithm} 0123456789"
    )


def test_wrong_checksum_leaves_the_file_that_was_there(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("before")
    with pytest.raises(DownloadFailed):
        download(url, path, Checksum("md5", "0123456789"), silent)
    assert path.read_text() == "before"
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("digits", ["", "1234567"])
def test_checksum_has_at_least_eight_digits(digits: str) -> None:
    with pytest.raises(ValueError, match="is too short for a checksum"):
        Checksum("md5", digits)


def test_file_that_is_not_there_is_named_with_the_answer(server: Server, path: Path) -> None:
    assert failure(f"{server.url}/nothing", path) == "the server answers 404 Not Found"


def test_server_that_is_down_is_said_to_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as gone:
        pass
    what = failure(f"{gone.url}/content.bin", path)
    refused = os.strerror(errno.ECONNREFUSED)
    assert what == f"the server cannot be reached: [Errno {errno.ECONNREFUSED}] {refused}"


def test_host_without_a_name_cannot_be_reached(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert failure("http://nowhere.invalid/x", path).startswith("the server cannot be reached: ")


def test_connection_that_is_cut_is_told_with_what_came(
    server: Server, url: str, path: Path
) -> None:
    server.cut_after = 400_000
    what = failure(url, path)
    assert what == f"the connection broke off after 400000 of {len(CONTENT)} bytes"


def test_cut_of_unannounced_length_is_found_by_the_checksum(
    server: Server, url: str, path: Path
) -> None:
    server.tells_length, server.cut_after = False, 400_000
    assert failure(url, path).startswith("the file that came has another checksum: ")


def test_silent_server_is_given_up(
    server: Server, url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", 0.2)
    server.pause = 1.0
    # on a busy machine also before the first byte
    begins = ("the connection broke off", "the server cannot be reached")
    assert failure(url, path) in [f"{begin}: no answer for 0.2 s" for begin in begins]


def test_full_disk_is_told_and_leaves_nothing(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, block: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode: Full(self, "w"))
    what = failure(url, path)
    assert what == f"it cannot be stored: [Errno {errno.ENOSPC}] No space left on device"


def test_folder_that_cannot_be_made_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DownloadFailed, match=re.escape("it cannot be stored: [Errno ")):
        download(url, tmp_path / "file" / "content.bin", RIGHT, silent)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("late", [True, False])
def test_stop_leaves_nothing_behind(url: str, path: Path, error: type, late: bool) -> None:
    def stop(progress: Downloading) -> None:
        if progress.done or not late:
            raise error

    with pytest.raises(error):
        download(url, path, RIGHT, stop)
    assert list(path.parent.iterdir()) == []


def test_remains_of_a_killed_download_are_removed_by_the_next(url: str, path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url, str(path)])
    assert killed.returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert left.name.endswith(".partial")
    download(url, path, RIGHT, silent)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (170_498_071, "170.5 MB"), (5e9, "5.0 GB")],
)
def test_sizes_are_shown_in_words(num_bytes: float, shown: str) -> None:
    assert show_bytes(num_bytes) == shown
