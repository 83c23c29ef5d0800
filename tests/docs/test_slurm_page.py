"""docs/slurm.md: its commands are executed, with a `sbatch` that keeps what it is given."""

import re
from pathlib import Path

import pytest

from runner.cli.app import main
from runner.execute.slurm_script import MOST_JOBS, OWN, SIGNAL_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "slurm.md").read_text(encoding="utf-8")


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


def test_numbers_and_names_of_the_page() -> None:
    assert f"at most {MOST_JOBS}" in PAGE
    assert f"{SIGNAL_SECONDS // 60} minutes before" in PAGE
    own = re.search(r"cannot be set: (.*)\.\n", PAGE)
    assert own is not None
    assert set(re.findall(r"`([\w-]+)`", own[1])) <= set(OWN)
