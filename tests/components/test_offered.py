"""Which own code may be named: of allowed files and of installed packages, without importing it."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from packages import install, site_folder

from runner.components.losses import OwnLoss
from runner.components.models.own_model import OwnModel
from runner.components.own.component import OwnComponent
from runner.components.own.offered import offered_classes
from runner.components.own.permission import allow_code

__all__ = ["site_folder"]

NET = "raise RuntimeError\nclass Net:\n    def __init__(self, width: int = 1): pass\n"


def names(kind: type[OwnComponent]) -> set[str]:
    return {str(each.own.name) for each in offered_classes(kind)}


def test_classes_of_allowed_files_and_packages_are_listed(
    site_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = tmp_path / "code" / "vision"
    code.mkdir(parents=True)
    (code / "nets.py").write_text(
        f"{NET}class _Hidden: pass\nclass Wrong:\n    def __init__(self, a): pass\n"
    )
    (code / "not a module.py").write_text(NET)
    (code / "broken.py").write_text("def (")
    assert names(OwnModel) == set()
    with allow_code(tmp_path / "code"):
        assert names(OwnModel) == {"vision/nets.py:Net"}
    install(site_folder)
    with allow_code(code / "nets.py"):
        assert names(OwnModel) == {"nets.py:Net", "mynets:wide_net"}
        assert "mynets:wide_net" not in names(OwnLoss)  # image_shape is no setting
    assert not (tmp_path / "was_imported").exists()


def test_a_folder_that_vanishes_while_classes_are_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets.py").write_text(NET)
    gone, scandir = tmp_path / "gone", os.scandir
    gone.mkdir()

    def removed_before(path: Any = ".") -> Any:
        if str(path) == str(gone):
            shutil.rmtree(gone)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_before)
    with allow_code(tmp_path):
        assert names(OwnModel) == {"nets.py:Net"}
    assert not gone.exists()
