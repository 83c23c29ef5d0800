"""Nothing is imported because it lies in the current folder, which may be a stranger's."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import TINY

RUNNER = str(Path(sys.executable).parent / "runner")
PLANTED = (
    "enum",
    "multiprocessing",
    "pickle",
    "random",
    "runner",
    "sitecustomize",
    "torch",
    "yaml",
)
TELLS = 'open("ran.txt", "a").write(__name__)\nraise ImportError("planted")\n'


def planted(folder: Path, without: str = "") -> None:
    """Write a spec, and beside it files that are called as modules are."""
    (folder / "tiny.yaml").write_text(TINY)
    for name in PLANTED:
        if name != without:
            (folder / f"{name}.py").write_text(TELLS)


def done(folder: Path, *words: str) -> str:
    """Return what a command printed; nothing that was planted may have been run."""
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert not (folder / "ran.txt").exists()
    return ended.stdout + ended.stderr


@pytest.mark.slow
def test_by_its_module_the_program_imports_nothing_of_the_folder(tmp_path: Path) -> None:
    # Python itself takes a planted `runner` for the program, before the program can do anything
    planted(tmp_path, without="runner")
    assert "tiny" in done(tmp_path, sys.executable, "-m", "runner", "validate", "tiny.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--executor", "process"), ("--page",)])
def test_processes_that_a_run_starts_import_nothing_of_the_folder(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    if "--page" in options:
        pytest.importorskip("starlette")
    planted(tmp_path)
    told = done(tmp_path, RUNNER, "run", "tiny.yaml", "--threads", "1", *options)
    assert "4 runs: 4 done" in told
    assert ("page: http://127.0.0.1" in told) == ("--page" in options)
