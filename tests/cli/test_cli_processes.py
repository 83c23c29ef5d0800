"""Whole processes: closed pipes, exit codes, and what is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(sys.executable).parent / "runner"
IMPORTS = """
import sys
from runner.cli.app import main

heavy = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "pandas", "alembic")
for command in sys.argv[1:]:
    sys.argv = ["runner", *command.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, command
    found = [name for name in heavy if name in sys.modules]
    print(f"imported by {command}: {', '.join(found) or 'none'}", file=sys.stderr)
"""
TRAINING = """
import sys
from runner.cli.app import main

sys.argv = ["runner", "run", "digits.yaml", "--threads", "1"]
try:
    main()
except SystemExit as ended:
    assert not ended.code
heavy = ("torch", "torch._dynamo", "torchvision", "sklearn", "scipy", "matplotlib", "pandas")
print("imported:", ", ".join(name for name in heavy if name in sys.modules))
"""
LIGHT = [
    "--help",
    "run --help",
    "plot --help",
    "schema",
    "validate tiny.yaml",
    "validate tiny.yaml --resolved",
    "list",
    "list --format csv",
    "report",
    "report --table tiny",
    "report --table tiny --format markdown",
    "report tiny.yaml",
    "show tiny:0:0",
    "diff tiny:0:0 tiny:1:0",
    "report --table tiny --format latex",
    "run tiny.yaml",
    "run tiny.yaml --executor process",
    "run tiny.yaml --device cuda:1",
    "run tiny.yaml --limit 1 --retry-failed --device auto",
    "plan tiny.yaml --device cpu",
    "plan tiny.yaml --device cpu --format json",
    "plan tiny.yaml --actual",
    "export --to csv",
    "cache list",
    "db info",
    "db dump --canonical",
    "db check",
]


@pytest.mark.slow
def test_commands_with_nothing_to_train_import_nothing_heavy(tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *LIGHT], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("imported by ")]
    assert lines == [f"imported by {command}: none" for command in LIGHT]


@pytest.mark.slow
def test_runs_whose_analyses_are_made_import_nothing_heavy(tmp_path: Path) -> None:
    spec = (
        "{name: d, data: {dataset: digits, validation: 0.2}, train: {epochs: 1},"
        " model: {name: convnet, filters: [4]},"
        " analyses: [filters, predictions, saliency, embedding]}"
    )
    (tmp_path / "d.yaml").write_text(spec)
    subprocess.run([RUNNER, "run", "d.yaml"], cwd=tmp_path, capture_output=True, check=True)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, "run d.yaml", "plan d.yaml --device cpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("imported by ")]
    assert lines == ["imported by run d.yaml: none", "imported by plan d.yaml --device cpu: none"]


@pytest.mark.slow
def test_process_that_trains_imports_only_what_training_needs(tmp_path: Path) -> None:
    spec = (
        "{name: d, data: {dataset: digits}, model: {name: mlp, hidden: [4], dropout: 0.1},"
        " train: {epochs: 1, clip_grad_norm: 1.0}}"
    )
    (tmp_path / "digits.yaml").write_text(spec)
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported: torch"


@pytest.mark.slow
def test_help_imports_nothing_that_only_a_command_needs() -> None:
    code = "import sys, runner.cli.app; print(*{'pydantic', 'sqlalchemy', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [pytest.param(["list", "--format", "csv"], marks=pytest.mark.slow), ["db", "dump"]]
)
def test_pipe_closed_by_its_reader_is_no_traceback(tiny: Path, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([RUNNER, *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert ended.stderr == ""
    assert ended.returncode in (0, 1)


@pytest.mark.slow
def test_installed_command_exits_with_the_code_of_the_error(tmp_path: Path) -> None:
    ended = subprocess.run([RUNNER, "validate", "nowhere.yaml"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: no such file: nowhere.yaml\n"


@pytest.mark.slow
def test_version_is_printed(tmp_path: Path) -> None:
    ended = subprocess.run([RUNNER, "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("runner 0.")
