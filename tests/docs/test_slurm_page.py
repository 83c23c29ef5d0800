"""docs/slurm.md: its commands are executed, with a `sbatch` that keeps what it is given."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres import program

from runner.cli.app import main
from runner.execute.slurm_script import MOST_JOBS, OWN, SIGNAL_SECONDS
from runner.store.database import open_database
from runner.store.wanted import wanted_runs

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "slurm.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_commands_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/bash\ncat > submitted\necho 4711\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    shown = re.search(r"<!-- submit -->\n```console\n(.*?)```", PAGE, re.S)
    assert shown is not None
    printed = []
    for line in shown[1].splitlines():
        monkeypatch.setattr("sys.argv", line.removeprefix("$ ").split())
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        printed.append(capsys.readouterr().out)
    script, number = printed
    assert number == "4711\n"
    assert (tmp_path / "submitted").read_text() == script
    assert "#SBATCH --gres=gpu:1\n" in script


@pytest.mark.postgres
def test_a_server_of_ones_own_takes_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"<!-- server -->\n```bash\n(.*?)```", PAGE, re.S)
    assert shown is not None
    port = free_port()
    commands = "set -e\n" + shown[1].replace("5433", str(port))
    programs = os.pathsep.join([str(Path(program("initdb")).parent), "/usr/bin", "/bin"])
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        home = Path(folder)
        files = {"PGPASSFILE": str(home / ".pgpass"), "PGDATA": str(home / "runner-postgres")}
        somebody: dict[str, Any] = {"env": {"PATH": programs, "HOME": folder, **files}}
        if os.getuid() == 0:  # a server does not run as root
            shutil.chown(home, "nobody", "nogroup")
            somebody |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
        try:
            done = subprocess.run(["bash", "-c", commands], cwd=home, timeout=100, **somebody)
            assert done.returncode == 0
            monkeypatch.setenv("PGPASSFILE", files["PGPASSFILE"])
            monkeypatch.setenv("HOME", folder)
            url = f"postgresql://me@localhost:{port}/runs"
            (home / "experiments").symlink_to(ROOT / "experiments")
            monkeypatch.chdir(home)
            words = ["runner", "slurm", "experiments/quickstart.yaml", "--db", url, "--print"]
            monkeypatch.setattr("sys.argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
            script = capsys.readouterr().out
            assert not ended.value.code
            assert f"://me@localhost:{port}/runs\n" in script
            with open_database(url, create=False) as database:
                assert wanted_runs(database)
        finally:
            stop = ["bash", "-c", "pg_ctl stop --mode=immediate"]
            subprocess.run(stop, cwd=home, timeout=100, **somebody)


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_numbers_and_names_of_the_page() -> None:
    assert f"at most {MOST_JOBS}" in PAGE
    assert f"{SIGNAL_SECONDS // 60} minutes before" in PAGE
    own = re.search(r"cannot be set: (.*)\.\n", PAGE)
    assert own is not None
    assert set(re.findall(r"`([\w-]+)`", own[1])) <= set(OWN)
