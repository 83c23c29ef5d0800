"""What lies in `.runner/` by kind, and what clearing it removes."""

import os
from pathlib import Path
from typing import Any

import pytest

from runner.artifacts.contents import KINDS, clear, contents
from runner.artifacts.folder import Artifacts
from runner.core.errors import UsageError

FILES = (
    "pixels/p",
    "features/f",
    "changed/i",
    "states/s-1",
    "checkpoints/c",
    "weights/run-best",
    "logits/r-best-val",
    "analyses/a",
)


def filled(folder: Path) -> Path:
    for database in ("mine", "other"):
        for name in FILES:
            path = Artifacts(folder, database).path(name)
            path = path if path.suffix else path / "file"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"1234")
    (folder / "layouts.json").write_text("{}")
    return folder


def test_contents_are_listed_by_kind(tmp_path: Path) -> None:
    assert [(each.kind, each.count, each.num_bytes) for each in contents(filled(tmp_path))] == [
        ("pixels", 1, 4),
        ("features", 1, 4),
        ("changed", 1, 4),
        ("states", 2, 8),
        ("checkpoints", 2, 8),
        ("weights", 2, 8),
        ("logits", 2, 8),
        ("analyses", 2, 8),
        ("hashes", 0, 0),
        ("layouts.json", 1, 2),
        ("code.json", 0, 0),
    ]


def test_contents_of_no_folder_are_empty(tmp_path: Path) -> None:
    assert {each.count for each in contents(tmp_path / "none")} == {0}


def test_clearing_spares_what_other_databases_own(tmp_path: Path) -> None:
    removed = clear(filled(tmp_path), KINDS, {"other"})
    assert [(each.kind, each.count) for each in removed] == [
        *((kind, 1) for kind in list(KINDS)[:8]),
        ("layouts.json", 1),
    ]
    left = sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file())
    assert left == [
        "analyses/other/a/file",
        "checkpoints/other/c/file",
        "logits/other/r-best-val/file",
        "states/other/s-1/file",
        "weights/other/run-best.safetensors",
    ]


def test_clearing_with_no_other_database_leaves_no_folder(tmp_path: Path) -> None:
    clear(filled(tmp_path), KINDS, ())
    assert list(tmp_path.iterdir()) == []


def test_clearing_one_kind_leaves_the_others(tmp_path: Path) -> None:
    assert [each.kind for each in clear(filled(tmp_path), ["states"], ())] == ["states"]
    assert (tmp_path / "weights").is_dir()


def test_what_a_link_leads_to_is_not_removed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / ".runner", tmp_path / "elsewhere"
    for name in ("mine", "theirs"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "letter.txt").write_text("dear")
    (folder / "pixels").mkdir(parents=True)
    (folder / "weights").symlink_to(elsewhere)
    for others in ((), ("theirs",)):
        with pytest.raises(UsageError, match=r"weights is a link to .*elsewhere; nothing was rem"):
            clear(folder, ["pixels", "weights"], others)
    assert (folder / "pixels").is_dir()
    assert (elsewhere / "mine" / "letter.txt").read_text() == "dear"
    assert clear(folder, ["pixels"], ()) == []
    assert not (folder / "pixels").exists()


def test_what_others_write_while_it_is_cleared_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one who plans: it remembers digests, in files that it renames, and needs no lock."""
    home = tmp_path / "hashes"
    home.mkdir()
    for name in ("a.json", "b.json.partial"):
        (home / name).write_text("{}")
    unlink, rmdir, calls = os.unlink, os.rmdir, [0, 0]

    def renamed_before(path: Any, **options: Any) -> None:
        calls[0] += 1
        if calls[0] == 1:
            os.rename(home / "b.json.partial", home / "b.json")
            os.rename(home / "a.json", home / "c.json")
        unlink(path, **options)

    def put_before(path: Any, **options: Any) -> None:
        calls[1] += 1
        if calls[1] == 1:
            (home / "d.json").write_text("{}")
        rmdir(path, **options)

    monkeypatch.setattr(os, "unlink", renamed_before)
    monkeypatch.setattr(os, "rmdir", put_before)
    assert [each.kind for each in clear(tmp_path, ["hashes"], ())] == ["hashes"]
    assert not home.exists()
    assert calls[0] > 2
    assert calls[1] == 2
