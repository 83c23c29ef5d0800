"""Where a folder may be written as a whole, and which files of others keep it from that."""

import os
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import UsageError
from runner.report.own_folder import check_place

MANIFEST = "manifest.json"


def test_what_nobody_has_listed_is_named_empty_folders_too(tmp_path: Path) -> None:
    place = tmp_path / "report"
    (place / "notes").mkdir(parents=True)
    (place / MANIFEST).write_text('{"files": ["a.md"]}')
    (place / "a.md").write_text("")
    with pytest.raises(UsageError, match="report holds what no report has written: notes"):
        check_place(place, MANIFEST, "report")
    (place / "notes").rmdir()
    assert check_place(place, MANIFEST, "report") == place.resolve()


def test_a_folder_that_another_process_removes_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, listdir = tmp_path / "report", os.listdir
    gone = place / "figures"
    gone.mkdir(parents=True)

    def removed_before(path: Any = ".") -> list[str]:
        if str(path) == str(gone.resolve()):
            gone.rmdir()
        return listdir(path)

    monkeypatch.setattr(os, "listdir", removed_before)
    assert check_place(place, MANIFEST, "report") == place.resolve()
    assert not gone.exists()
