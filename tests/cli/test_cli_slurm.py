"""`runner slurm`: what is recorded, printed, submitted and refused."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from commands import Call

import runner

GOLDEN = Path(__file__).parent / "golden" / "slurm.sh"
OPTIONS = [
    *("--jobs", 8, "--time", "4:00:00", "--gres", "gpu:1", "--partition", "long"),
    *("--account", "me", "--cpus-per-task", 4, "--mem", "16G", "--constraint", "a100&nvlink"),
    *("--output", "my logs/%a.txt", "--sbatch", "exclusive", "--sbatch", "nice=100"),
    *("--data", "pictures", "--device", "cuda", "--deterministic", "--no-download"),
    *("--cache-limit", "5GB", "--checkpoint-seconds", 10, "--code", "own.py"),
]


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only command on PATH, which keeps what it is given."""
    commands = tmp_path / "commands"
    commands.mkdir()
    command = commands / "sbatch"
    command.write_text('#!/bin/sh\nread -r first\necho "$first" > script\necho "12;one"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(commands))
    return command


@pytest.mark.slow
def test_script_is_printed_and_what_is_wanted_is_recorded(
    fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (fresh / "own.py").touch()
    (fresh / "tiny.yaml").write_text(
        (fresh / "tiny.yaml").read_text().replace("[0, 1]", "[0, 1, 2, 3]")
    )
    printed = call("slurm", "tiny.yaml", *OPTIONS, "--print")
    assert printed.code == 0, printed.err
    program = Path(runner.__file__).parents[1]
    script = printed.out.replace(f"export PYTHONPATH={program}\n", "")
    for path, name in ((str(fresh), "/here"), (sys.executable, "/bin/python3")):
        script = script.replace(path, name)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(script, encoding="utf-8")
    assert script == GOLDEN.read_text(encoding="utf-8")
    place = f"{fresh}/results.db lies on this machine: jobs on other machines do not find it"
    assert printed.err == f"note: {place}\n"
    assert "unfinished" in call("list").out


@pytest.mark.usefixtures("sbatch")
def test_array_is_submitted_with_no_more_jobs_than_runs(fresh: Path, call: Call) -> None:
    words = ["--only", "seed=1", "--jobs", 100, "--output", "logs/of jobs/%a.txt"]
    submitted = call("slurm", "tiny.yaml", *words)
    assert (submitted.code, submitted.out) == (0, "12\n")
    assert submitted.err.endswith(
        "\n2 jobs for 2 runs; see them with squeue, stop them with: scancel 12\n"
    )
    assert (fresh / "script").read_text() == "#!/bin/bash\n"
    assert (fresh / "logs" / "of jobs").is_dir()


@pytest.mark.usefixtures("sbatch")
def test_nothing_is_submitted_where_nothing_is_wanted(tiny: Path, call: Call) -> None:
    ended = call("slurm", "tiny.yaml")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.endswith("every wanted run has a result: nothing is submitted\n")
    assert not (tiny / "script").exists()


def test_what_slurm_says_is_passed_on(fresh: Path, call: Call, sbatch: Path) -> None:
    sbatch.write_text('#!/bin/sh\necho "invalid partition specified: x" >&2\nexit 1\n')
    refused = call("slurm", "tiny.yaml", "--partition", "x")
    assert refused.code == 1
    assert "sbatch refused the script: invalid partition specified: x\n" in refused.err
    assert "hint: what is wanted is recorded; --print shows the script" in refused.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "there is no sbatch here"),
        (["--jobs", 1001, "--print"], "an array of 1001 jobs"),
        (["--time", "soon", "--print"], "'soon' is no time of Slurm"),
        (["--gres", "gpu:1", "--sbatch", "gres=gpu:2", "--print"], "gres of sbatch is given twice"),
        (["--db", "reference://", "--print"], "the reference is read-only"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_recorded(
    words: list[object],
    problem: str,
    fresh: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(fresh))
    refused = call("slurm", "tiny.yaml", *words)
    assert (refused.code, refused.out) == (2, "")
    assert problem in refused.err
    assert ("--print" in refused.err) == (not words)
    assert not (fresh / "results.db").exists()


def test_wrong_spec_is_refused_with_its_position(fresh: Path, call: Call) -> None:
    (fresh / "tiny.yaml").write_text((fresh / "tiny.yaml").read_text().replace("mlp", "mlq"))
    refused = call("slurm", "tiny.yaml", "--print")
    assert (refused.code, refused.out) == (2, "")
    assert "tiny.yaml:4:" in refused.err
    assert not (fresh / "results.db").exists()


@pytest.mark.slow
def test_file_that_machines_share_is_for_one_job(
    fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = SimpleNamespace(mountpoint="/", fstype="nfs4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [mount])
    refused = call("slurm", "tiny.yaml", "--print")
    assert refused.code == 2
    assert "results.db lies on a network file system (nfs4)" in refused.err
    assert "--db postgresql://USER@HOST/NAME, or take --jobs 1" in refused.err
    assert not (fresh / "results.db").exists()
    alone = call("slurm", "tiny.yaml", "--print", "--jobs", 1)
    assert alone.code == 0
    only_one = "only one machine at a time may use it; several need --db postgresql://"
    assert alone.err.count(only_one) == alone.err.count("note: ") == 1
    assert only_one in call("worker", "--max-hours", "1e-9", "--device", "cpu").err
    assert only_one in call("run", "tiny.yaml", "--workers", 0).err
