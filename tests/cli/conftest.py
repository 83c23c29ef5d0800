"""The command line in this process, and one finished tiny grid that tests copy."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from commands import TINY, Call, Called
from trained import SPEC, draw_photos

from runner.cli.app import main


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `runner WORDS` in this process."""

    def run(*words: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["runner", *map(str, words)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfd.readouterr()
        return Called(code, out, err)

    return run


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_DB", raising=False)
    monkeypatch.delenv("RUNNER_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Several threads on tiny networks only wait for one another when the machine is busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.yaml and its finished database; do not write to it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    from runner.api import run

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("tiny.yaml", device="cpu")
    return folder


@pytest.fixture
def tiny(finished: Path, tmp_path: Path) -> Path:
    """The current folder, with a copy of the finished grid."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The current folder, with tiny.yaml and nothing run."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def finished_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos.yaml, its photos and its finished run; do not write to it."""
    folder = tmp_path_factory.mktemp("finished_photos")
    (folder / "photos.yaml").write_text(SPEC, encoding="utf-8")
    draw_photos(folder / "photos")
    from runner.api import run

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("photos.yaml", device="cpu")
    return folder


@pytest.fixture
def photos_run(finished_photos: Path, tmp_path: Path) -> Path:
    """The current folder, with a copy of the finished run."""
    shutil.copytree(finished_photos, tmp_path, dirs_exist_ok=True)
    return tmp_path
