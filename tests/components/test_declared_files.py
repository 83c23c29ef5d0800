"""Files that own code declares to read: part of its digest, looked at before anything is run."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_nets import NETS, write_nets
from pydantic import TypeAdapter, ValidationError

from runner.components.models import Model
from runner.components.own import declared_files
from runner.components.own.permission import allow_code
from runner.components.own.problems import KIND, CodeProblem, OwnCodeFailed

pytestmark = pytest.mark.slow

READING = """
from pathlib import Path

READS = ["palette.json", "weights/first.bin"]
SCALE = float(Path(__file__).with_name(READS[0]).read_text())
with open(Path(__file__).parent / READS[1]) as file:
    OTHER = file.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with own code whose second module reads two files."""
    write_nets(tmp_path, layers=READING)
    (tmp_path / "palette.json").write_text("2.5")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "first.bin").write_bytes(b"1")
    return tmp_path


def model(folder: Path, allowed: str = "nets.py", **settings: Any) -> Any:
    with allow_code(folder / allowed):
        return TypeAdapter(Model).validate_python({"name": "nets.py:WideNet", **settings})


def problem(folder: Path, declaration: str) -> CodeProblem:
    write_nets(folder, layers=f"{declaration}\nSCALE = 1.0\n")
    with pytest.raises(ValidationError) as caught:
        model(folder)
    (detail,) = caught.value.errors()
    assert detail["type"] == KIND
    found: CodeProblem = detail["ctx"]["problem"]
    return found


def test_declared_files_need_no_version_and_can_be_read(home: Path) -> None:
    found = model(home)
    assert found.version is None
    assert found.build((1, 8, 8), 3)
    names = {each.shown: each.size for each in found.own.files.declared}
    assert names == {"palette.json": 3, "weights/first.bin": 1}
    write_nets(home, layers=READING.replace("READS =", "NAMES ="))
    with pytest.raises(ValidationError, match=r"uses `.*`(?s:.)*name the files in READS"):
        model(home)


def test_bytes_of_declared_files_count_and_their_dates_do_not(home: Path) -> None:
    before = model(home).code
    os.utime(home / "palette.json", (1, 1))
    assert model(home).code == before
    assert model(home, ".").code == before
    (home / "weights" / "first.bin").write_bytes(b"2")
    assert model(home).code != before
    (home / "weights" / "first.bin").write_bytes(b"1")
    assert model(home).code == before


def test_code_that_declares_nothing_keeps_its_digest(tmp_path: Path) -> None:
    write_nets(tmp_path, NETS.replace("from torch import nn\n", "from torch import nn\nA = 1\n"))
    assert model(tmp_path).code == "403873efd4fbe42d97217ee4566b4cc2"


@pytest.mark.parametrize(
    ("declaration", "found"),
    [
        ("READS = NAMES", "READS is NAMES, which is no list of 1 to 1,000 names"),
        ("READS = []", "READS is [], which is no list"),
        ("READS: list = list('ab')", "READS is list('ab'), which is no list"),
        ("READS = [1]", "READS holds 1, which is no name"),
        ("READS = ['a' + 'b']", "READS holds 'a' + 'b', which is no name"),
        ("READS = ['']", "READS holds '', which is no name"),
        ("READS = ['/etc/passwd']", "READS holds '/etc/passwd', which is no name"),
        ("READS = ['../secret']", "'../secret' in READS leads outside of"),
        ("READS = ['gone.bin']", "'gone.bin' in READS cannot be read: No such file"),
        ("READS = ['weights']", "'weights' in READS is no file"),
        ("READS = ['pipe']", "'pipe' in READS is no file"),
        ("READS = ['link']", "'link' in READS leads outside of"),
        ("READS = ['a\\0b']", "'a\\x00b' in READS cannot be read"),
        ("READS = ['palette.json']\nREADS = ['b']", "READS must be assigned once, at the top"),
        ("READS = ['palette.json']\nREADS += ['b']", "READS must be assigned once, at the top"),
        ("class A:\n    READS = ['palette.json']", "READS must be assigned once, at the top"),
        ("A = READS = ['palette.json']", "READS must be assigned once, at the top"),
    ],
)
def test_wrong_declarations_are_shown_where_they_stand(
    home: Path, tmp_path_factory: pytest.TempPathFactory, declaration: str, found: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret"
    elsewhere.write_text("")
    (home / "link").symlink_to(elsewhere)
    os.mkfifo(home / "pipe")
    told = problem(home, declaration)
    assert told.found.startswith(found)
    assert told.position is not None
    assert told.position.file == "layers.py"


@given(st.text(max_size=20), st.sampled_from(["", "/", "../", "~/", "weights/", "x/" * 3000]))
def test_no_name_gives_anything_but_a_problem(
    tmp_path_factory: pytest.TempPathFactory, name: str, above: str
) -> None:
    folder = tmp_path_factory.mktemp("names")
    told = problem(folder, f"READS = [{above + name!r}]")
    assert "READS" in told.found


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("open('palette.json')", "open('palette.json')"),
        ("Path('palette.json').read_text()", "Path('palette.json').read_text()"),
        ("from numpy import load\nload('a.npy')", "load('a.npy')"),
        ("exec('A = 1')", "exec"),
        ("import os\nA = os.environ", "os.environ"),
        ("from os import open, getenv", "os.getenv"),
        ("import torch\nA = torch.hub.load", "torch.hub.load"),
        ("import pickle", "pickle"),
    ],
)
def test_what_a_declaration_does_not_cover_needs_a_version(
    home: Path, line: str, word: str
) -> None:
    write_nets(home, layers=f"{READING}{line}\n")
    with pytest.raises(ValidationError) as caught:
        model(home)
    assert f"uses `{word}` (layers.py:" in str(caught.value)
    assert model(home, version=1)


def test_file_that_changes_before_the_code_is_built_is_told(home: Path) -> None:
    found = model(home)
    (home / "palette.json").write_text("3.75")
    with pytest.raises(OwnCodeFailed, match=r"palette\.json has changed since it was hashed"):
        found.build((1, 8, 8), 3)


def test_unchanged_file_is_hashed_once_in_a_process(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declared_files, "RACY_NS", -(10**12))  # written long ago
    before = model(home).code
    monkeypatch.setattr(declared_files, "file_digest", None)
    assert model(home).code == before
