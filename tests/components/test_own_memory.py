"""What own data sets gave is remembered while nothing has changed that it depends on."""

import os
from pathlib import Path
from typing import Any

import pytest
from own_cells import CELLS, write_cells, write_images
from pydantic import TypeAdapter

import runner.components.data.own_memory as memory_module
from runner.artifacts.hashes import HashCache
from runner.components.data import Data
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.own.opened_files import opened_files
from runner.components.own.permission import allow_code
from runner.core.errors import DataError

pytestmark = pytest.mark.slow

GIVEN = "        return self.images[index"
COUNTED = CELLS.replace(
    GIVEN,
    "        with open(Path(__file__).with_name('asked'), 'a') as file:\n"
    f"            file.write('{{index}} '.format(index=index))\n{GIVEN}",
)
DECLARED = COUNTED.replace("self.stain = stain", "self.stain, self.files = stain, [path]")
SAMPLED, ALL = 8, 48
"""Images that are asked for where they are remembered, and where not: eight are, twice."""


def source(folder: Path, **settings: Any) -> ImageSource:
    """Return the source, as another command finds it."""
    hashes = HashCache(folder / "hashes")
    access = DataAccess((folder,), hashes.hash_files, memory=folder / "hashes")
    with allow_code(folder):
        data: Any = TypeAdapter(Data).validate_python(
            {"dataset": "cells.py:Cells", "path": "cells.npz", **settings}
        )
        found: ImageSource = data.build(access)
    return found


def asked(folder: Path, **settings: Any) -> tuple[int, ImageSource]:
    """Return how many images the class was asked for, and the source."""
    (folder / "asked").write_text("")
    found = source(folder, **settings)
    return len((folder / "asked").read_text().split()), found


def test_what_was_given_is_remembered_and_some_of_it_looked_at(tmp_path: Path) -> None:
    write_cells(tmp_path, DECLARED)
    count, first = asked(tmp_path)
    assert (count, first.notes) == (ALL, ())
    count, again = asked(tmp_path)
    assert (count, again.notes) == (SAMPLED, ())
    same = [
        (each.names, each.labels, each.classes, each.digests, each.fingerprint)
        for each in (first, again)
    ]
    assert same[0] == same[1]
    assert again.read(3).tobytes() == first.read(3).tobytes()


def test_a_file_that_a_setting_leads_to_counts_beside_those_that_are_declared(
    tmp_path: Path,
) -> None:
    write_cells(tmp_path, DECLARED.replace("[path]", "[__file__]"))
    first = source(tmp_path)
    assert asked(tmp_path)[0] == SAMPLED
    write_images(tmp_path, seed=1)
    count, found = asked(tmp_path)
    assert (count, found.notes) == (ALL, ())
    assert found.fingerprint != first.fingerprint


def test_each_setting_has_a_memory_of_its_own(tmp_path: Path) -> None:
    write_cells(tmp_path, DECLARED)
    assert [asked(tmp_path, stain=each)[0] for each in (0, 1, 0, 1)] == [ALL, ALL, SAMPLED, SAMPLED]


@pytest.mark.parametrize("change", ["code", "file", "package", "damage", "other", "count"])
def test_nothing_is_remembered_once_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    write_cells(tmp_path, DECLARED)
    first = source(tmp_path)
    (kept,) = tmp_path.glob("hashes/own-*.json")
    if change == "code":
        (tmp_path / "cells.py").write_text(DECLARED.replace("index, self", "index ^ 0, self"))
    elif change == "file":
        write_images(tmp_path, seed=1)
    elif change == "package":
        monkeypatch.setattr(memory_module, "_version", lambda package: "0")
    elif change == "damage":
        kept.write_text(kept.read_text().replace('"labels": [0, 1', '"labels": [1, 0'))
    elif change == "other":
        kept.write_text("{}")
    else:
        (tmp_path / "cells.py").write_text(DECLARED.replace("len(self.images)", "39"))
    count, found = asked(tmp_path)
    assert (count > SAMPLED, found.notes) == (True, ())
    assert (found.fingerprint == first.fingerprint) == (change not in ("file", "count"))
    assert asked(tmp_path)[0] == SAMPLED


def test_a_class_without_files_is_read_each_time_and_says_so(tmp_path: Path) -> None:
    write_cells(tmp_path, COUNTED)
    for _ in range(2):
        count, found = asked(tmp_path)
        assert count == ALL
        (note,) = found.notes
        assert "all 40 images were read in 0" in note
        assert note.endswith(
            "as by each command; with `files`, the paths that the class reads, they are read when"
            " one of them or the code has changed"
        )


def test_code_whose_effect_no_digest_holds_is_read_each_time_without_a_version(
    tmp_path: Path,
) -> None:
    text = DECLARED.replace("import numpy", "import os\n\nimport numpy", 1)
    write_cells(tmp_path, text.replace("[path]", "[path][: len(os.environ)]"))
    for _ in range(2):
        count, found = asked(tmp_path)
        assert count == ALL
        assert "it uses `os.environ` (cells.py:15:" in found.notes[0]
    assert [asked(tmp_path, version=1)[0] for _ in range(2)] == [ALL, SAMPLED]
    assert [asked(tmp_path, version=2)[0] for _ in range(2)] == [ALL, SAMPLED]


@pytest.mark.parametrize("where", ["        self.stain,", GIVEN])
def test_a_file_that_is_read_and_not_declared_is_named(tmp_path: Path, where: str) -> None:
    hidden = "        self.more = Path(__file__).with_name('more.txt').read_text()\n"
    write_cells(tmp_path, DECLARED.replace(where, hidden + where))
    (tmp_path / "more.txt").write_text("")
    for _ in range(2):
        count, found = asked(tmp_path)
        assert count == ALL
        told = f"it reads {tmp_path / 'more.txt'}, which `files` does not name"
        assert found.notes[0].endswith(told)
    text = (tmp_path / "cells.py").read_text()
    both = "[path, Path(__file__).with_name('more.txt')]"
    (tmp_path / "cells.py").write_text(text.replace("[path]", both))
    assert [asked(tmp_path)[0] for _ in range(2)] == [ALL, SAMPLED]


@pytest.mark.parametrize("how", ["at its import", "once for all"])
def test_a_file_that_is_read_once_for_several_data_sets_is_named(tmp_path: Path, how: str) -> None:
    reading = "Path(__file__).with_name('more.txt').read_text()"
    if how == "at its import":
        text = DECLARED.replace("\n\nclass", f"\nMORE = {reading}\n\n\nclass", 1)
    else:
        text = DECLARED.replace("import numpy", "from functools import cache\n\nimport numpy", 1)
        text = text.replace(
            "\n\nclass", f"\n@cache\ndef more():\n    return {reading}\n\n\nclass", 1
        ).replace("self.stain, self.files", "more()\n        self.stain, self.files")
    write_cells(tmp_path, text)
    (tmp_path / "more.txt").write_text("")
    with allow_code(tmp_path):
        for stain in (0, 1):
            assert "which `files` does not name" in source(tmp_path, stain=stain).notes[0]


def test_data_sets_of_one_class_name_their_own_files(tmp_path: Path) -> None:
    write_cells(tmp_path, DECLARED)
    (tmp_path / "other.npz").write_bytes((tmp_path / "cells.npz").read_bytes())
    with allow_code(tmp_path):
        for path in ("cells.npz", "other.npz"):
            assert source(tmp_path, path=path).notes == ()


def test_images_that_are_others_although_nothing_has_changed_are_read_again(
    tmp_path: Path,
) -> None:
    late = "self.stain] ^ np.uint8(Path(__file__).with_name('late').exists())"
    write_cells(tmp_path, DECLARED.replace("self.stain]", late))
    first = source(tmp_path)
    (tmp_path / "late").touch()
    found = source(tmp_path)
    assert found.fingerprint != first.fingerprint
    assert "it gave another than before, although none of its `files` has changed" in found.notes[0]
    assert source(tmp_path).fingerprint == found.fingerprint


@pytest.mark.parametrize("how", ["another", "damaged"])
def test_what_is_remembered_is_forgotten_once_an_image_is_another(tmp_path: Path, how: str) -> None:
    late = "        if index == 5 and Path(__file__).with_name('late').exists():\n"
    late += "            raise OSError('damaged')\n"
    if how == "another":
        late = late.replace("raise OSError('damaged')", "return self.images[6, 0], 1")
    write_cells(tmp_path, DECLARED.replace(GIVEN, late + GIVEN))
    found = source(tmp_path, on_corrupt="skip")
    assert found.read(5)
    (tmp_path / "late").touch()
    told = "gives another image at index 5 than when" if how == "another" else "gives no image at"
    with pytest.raises(DataError, match=told):
        found.read(5)
    count, again = asked(tmp_path, on_corrupt="skip")
    assert count > SAMPLED
    assert again.fingerprint != found.fingerprint


def test_nothing_is_remembered_while_images_are_missing(tmp_path: Path) -> None:
    broken = f"        if index == 3:\n            raise OSError('damaged')\n{GIVEN}"
    write_cells(tmp_path, DECLARED.replace(GIVEN, broken))
    counts = [asked(tmp_path, on_corrupt="skip")[0] for _ in range(2)]
    assert min(counts) > SAMPLED
    assert len(source(tmp_path, on_corrupt="skip").names) == 39


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    write_cells(tmp_path, DECLARED)
    (tmp_path / "hashes").write_text("a file")
    assert [asked(tmp_path)[0] for _ in range(2)] == [ALL, ALL]


def test_opened_files_are_those_that_are_read_by_this_thread(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    seen: set[str] = set()
    inner: set[str] = set()
    with opened_files(seen):
        (tmp_path / "a").read_text()
        with opened_files(inner):
            (tmp_path / "b").write_text("")
            os.close(os.open(tmp_path / "b", os.O_RDONLY))
        (tmp_path / "a").read_text()
    (tmp_path / "b").read_text()
    assert (seen, inner) == ({str(tmp_path / "a")}, {str(tmp_path / "b")})
