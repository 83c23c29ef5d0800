"""Data sets with a public archive: `run` fetches them, everything else says what it would fetch."""

import errno
import hashlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Call
from layouts import pack_cifar
from servers import Server, serving
from waiting import PATIENCE, wait_for

from runner import api
from runner.api.running import run
from runner.bind.request import Request
from runner.components.data import cifar
from runner.components.data.archives import Archive, PublicFile
from runner.components.download import DownloadFailed
from runner.core.errors import Interrupted, SpecError

SPEC = """\
name: small
data: {dataset: cifar10, validation: 0.5}
model: {name: mlp, hidden: [2]}
train: {epochs: 1}
"""
NAME = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
COMMAND = """
import sys
from dataclasses import replace
from runner.cli.app import main
from runner.components.data import cifar

url, md5, num_bytes, *words = sys.argv[1:]
archive = cifar.CIFAR10.archive
file = replace(archive.files[0], url=url, md5=md5, num_bytes=int(num_bytes))
cifar.CIFAR10 = replace(cifar.CIFAR10, archive=replace(archive, files=(file,)))
sys.argv = ["runner", *words]
main()
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as server:
        server.files[NAME] = pack_cifar("cifar10")
        yield server


@pytest.fixture
def archive(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """CIFAR-10's archive as this machine serves it; small.yaml wants it."""
    (tmp_path / "small.yaml").write_text(SPEC)
    content = server.files[NAME]
    url, md5 = f"{server.url}/{NAME}", hashlib.md5(content).hexdigest()
    served = at(cifar.CIFAR10.archive, url, md5, len(content))
    monkeypatch.setattr(cifar, "CIFAR10", replace(cifar.CIFAR10, archive=served))
    return served


def at(archive: Archive, url: str, md5: str, num_bytes: int) -> Archive:
    """Return an archive of one file as it is somewhere else."""
    return replace(archive, files=(PublicFile(url, md5, num_bytes),))


def size(archive: Archive) -> str:
    return f"{archive.num_bytes / 1000:.1f} kB"


def how_to_get(archive: Archive) -> str:
    (file,) = archive.files
    return (
        f"`runner run` downloads it ({size(archive)}) unless --no-download is given; or fetch"
        f" {file.url} by hand and unpack it to {FOLDER} under --data (RUNNER_DATA) or ./data"
    )


def missing(archive: Archive, home: Path) -> str:
    return (
        f"small.yaml:2:17: missing data set cifar10: no folder {FOLDER}\n"
        f"    looked for: {home}/data/{FOLDER}, {home}/{FOLDER}\n"
        f"    hint: {how_to_get(archive)}\n"
    )


@pytest.mark.slow
def test_run_fetches_what_is_missing_and_says_so(
    tmp_path: Path, server: Server, archive: Archive, call: Call
) -> None:
    ran = call("run", "small.yaml", "--device", "cpu")
    assert ran.code == 0
    assert ran.out.startswith("small\n")
    began, ended = ran.err.splitlines()[:2]
    final = tmp_path / "data" / FOLDER
    assert began == f"downloading {NAME} ({size(archive)}) for {final}"
    assert re.fullmatch(rf"{re.escape(NAME)}: {re.escape(size(archive))} in \d\.\d s", ended)
    assert "\x1b" not in ran.out + ran.err
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [FOLDER]
    again = call("run", "small.yaml", "--device", "cpu")
    assert again.err.startswith("1 run: 1 done (1 of them before); ")
    assert again.out == ran.out
    assert server.asked == [NAME]


@pytest.mark.slow
@pytest.mark.parametrize("option", [True, False])
def test_download_goes_to_the_folder_that_is_given(
    tmp_path: Path, archive: Archive, call: Call, monkeypatch: pytest.MonkeyPatch, option: bool
) -> None:
    if not option:
        monkeypatch.setenv("RUNNER_DATA", "else/where")
    words = ["--data", "else/where"] if option else []
    assert call("run", "small.yaml", "--device", "cpu", *words).code == 0
    assert (tmp_path / "else" / "where" / FOLDER / "test_batch").is_file()
    assert not (tmp_path / "data").exists()
    assert call("validate", "small.yaml", "--deep", *words).code == 0


def test_data_in_the_folder_data_is_found(
    tmp_path: Path, server: Server, archive: Archive, call: Call
) -> None:
    (tmp_path / "data").mkdir()
    with tarfile.open(fileobj=io.BytesIO(server.files[NAME])) as tar:
        tar.extractall(tmp_path / "data", filter="data")
    assert call("validate", "small.yaml", "--deep").code == 0
    assert "download  nothing\n" in call("plan", "small.yaml").out


@pytest.mark.parametrize("words", [["run", "--no-download"], ["validate", "--deep"]])
def test_missing_data_is_an_error_where_nothing_is_fetched(
    tmp_path: Path, server: Server, archive: Archive, call: Call, words: list[str]
) -> None:
    refused = call(*words, "small.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"error: {missing(archive, tmp_path)}"
    assert server.asked == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["small.yaml"]


def test_plan_fetches_nothing_and_says_what_run_would(
    tmp_path: Path, server: Server, archive: Archive, call: Call
) -> None:
    planned = call("plan", "small.yaml")
    assert planned.code == 0
    assert f"\ndownload  {size(archive)}: {NAME} ({size(archive)})\n" in planned.out
    provisional = f"keys provisional, since data is not there:\n{missing(archive, tmp_path)}"
    assert f"\n{provisional}\nstages\n" in planned.out
    values = json.loads(call("plan", "small.yaml", "--format", "json").out)
    assert values["download_bytes"] == archive.num_bytes
    assert values["downloads"] == {NAME: archive.num_bytes}
    assert server.asked == []
    assert not (tmp_path / "data").exists()


def test_plan_adds_up_what_several_specs_want(archive: Archive, call: Call) -> None:
    Path("large.yaml").write_text(SPEC.replace("small", "large").replace("cifar10", "cifar100"))
    Path("again.yaml").write_text(SPEC.replace("small", "again"))
    planned = call("plan", "small.yaml", "large.yaml", "again.yaml", "--format", "json")
    values = json.loads(planned.out)
    assert values["downloads"] == {
        NAME: archive.num_bytes,
        "cifar-100-python.tar.gz": 169_001_437,
    }
    assert values["download_bytes"] == archive.num_bytes + 169_001_437


def gone(server: Server) -> None:
    server.files.clear()


def cut(server: Server) -> None:
    server.cut_after = 1000


def other(server: Server) -> None:
    server.files[NAME] = b"another file"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (gone, "the server answers 404 Not Found"),
        (cut, "the connection broke off after 1000 of SIZE bytes"),
        (
            other,
            f"the file that came has another checksum: {hashlib.md5(b'another file').hexdigest()}"
            " instead of md5 MD5",
        ),
    ],
)
def test_failed_download_starts_nothing_and_the_same_command_tries_again(
    tmp_path: Path,
    server: Server,
    archive: Archive,
    call: Call,
    harm: Callable[[Server], None],
    what: str,
) -> None:
    content = server.files[NAME]
    harm(server)
    failed = call("run", "small.yaml", "--device", "cpu")
    assert (failed.code, failed.out) == (2, "")
    what = what.replace("SIZE", str(archive.num_bytes)).replace("MD5", archive.files[0].md5)
    assert failed.err.endswith(error_of(archive, tmp_path, what))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["small.yaml"]
    server.files[NAME], server.cut_after = content, None
    assert call("run", "small.yaml", "--device", "cpu").code == 0


def error_of(archive: Archive, home: Path, what: str) -> str:
    return (
        f"error: cannot download {archive.files[0].url}: {what}\n"
        "    hint: run the same command again, or fetch the file by hand and unpack it to"
        f" {home}/data/{FOLDER}\n"
    )


def test_server_that_is_down_starts_nothing(
    tmp_path: Path, archive: Archive, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        pass
    url = f"{server.url}/{NAME}"
    down = at(archive, url, archive.files[0].md5, archive.num_bytes)
    monkeypatch.setattr(cifar, "CIFAR10", replace(cifar.CIFAR10, archive=down))
    failed = call("run", "small.yaml")
    assert (failed.code, failed.out) == (2, "")
    number = errno.ECONNREFUSED
    what = f"the server cannot be reached: [Errno {number}] {os.strerror(number)}"
    assert failed.err == error_of(down, tmp_path, what)
    assert not (tmp_path / "results.db").exists()


def test_full_disk_starts_nothing(
    tmp_path: Path, archive: Archive, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tar: tarfile.TarFile, target: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    failed = call("run", "small.yaml")
    assert failed.code == 2
    what = f"it cannot be stored: [Errno {errno.ENOSPC}] No space left on device"
    assert failed.err.endswith(error_of(archive, tmp_path, what))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["small.yaml"]


def command(archive: Archive, *words: str) -> list[str]:
    """Return the command line of a process that fetches from this machine."""
    (file,) = archive.files
    served = [file.url, file.md5, str(file.num_bytes)]
    return [sys.executable, "-c", COMMAND, *served, *words]


def wait_for_download(server: Server, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: server.asked or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_download_that_is_stopped_leaves_no_folder_and_starts_again(
    tmp_path: Path, server: Server, archive: Archive, call: Call, number: signal.Signals
) -> None:
    server.pause = 0.5
    words = command(archive, "run", "small.yaml", "--device", "cpu")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_download(server, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == ""
    assert not (tmp_path / "data" / FOLDER).exists()
    assert not (tmp_path / "results.db").exists()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert f"\nstopped while downloading {NAME}; it starts again later\n" in err
        assert err.endswith("; go on with: runner run small.yaml --device cpu\n")
        assert not (tmp_path / "data").exists()
    server.pause = 0.0
    assert call("run", "small.yaml", "--device", "cpu").code == 0
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [FOLDER]


@pytest.mark.slow
def test_terminal_gets_a_bar(
    tmp_path: Path, server: Server, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    shown = bytearray()

    def listen() -> None:
        try:
            while block := os.read(ours, 4096):
                shown.extend(block)
        except OSError:
            return

    words = command(archive, "run", "small.yaml", "--device", "cpu")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        thread = threading.Thread(target=listen)
        thread.start()
        assert process.wait(PATIENCE) == 0
    thread.join()
    os.close(ours)
    text = shown.decode()
    final = tmp_path / "data" / FOLDER
    assert f"downloading {NAME} ({size(archive)}) for {final}" in text
    assert "\x1b[" in text
    assert "━" in text


@pytest.mark.slow
def test_api_fetches_unless_told_not_to(tmp_path: Path, server: Server, archive: Archive) -> None:
    with pytest.raises(SpecError, match="missing data set cifar10"):
        api.run("small.yaml", device="cpu", download=False)
    assert server.asked == []
    rows = api.run("small.yaml", device="cpu").frame()
    assert list(rows.status) == ["done"]
    assert (tmp_path / "data" / FOLDER).is_dir()


def test_download_that_fails_in_the_api_is_an_error_of_its_own(
    server: Server, archive: Archive
) -> None:
    server.files.clear()
    with pytest.raises(DownloadFailed) as failed:
        api.run("small.yaml", device="cpu")
    assert (failed.value.url, failed.value.exit_code) == (archive.files[0].url, 2)


def test_stop_that_was_asked_for_ends_a_download(tmp_path: Path, archive: Archive) -> None:
    request = Request(["small.yaml"], device="cpu")
    with pytest.raises(Interrupted, match=f"stopped while downloading {NAME}"):
        run(request, should_stop=lambda: True)
    assert not (tmp_path / "data").exists()
