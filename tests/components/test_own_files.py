"""The digest of own code: what counts in it, and which files it is made of."""

from pathlib import Path

import pytest
from own_nets import LAYERS, NETS, write_nets

from runner.components.own import local_files
from runner.components.own.local_files import read_local_files
from runner.components.own.names import CodeName
from runner.components.own.permission import allow_code, permission
from runner.components.own.problems import CodeProblem


def digest(folder: Path, file: str = "nets.py", allowed: str = "") -> str:
    with allow_code(folder / allowed):
        files = read_local_files(*permission().find(CodeName(file, "WideNet")))
    return files.digest


def modules(folder: Path, file: str = "nets.py") -> set[str]:
    with allow_code(folder):
        return set(read_local_files(*permission().find(CodeName(file, "W"))).modules)


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    write_nets(tmp_path)
    before = digest(tmp_path)
    edited = NETS.replace('"""Networks of a test."""', "# networks\n").replace("(x)", "( x )")
    write_nets(tmp_path, edited, f"# a scale\n\n{LAYERS}")
    assert digest(tmp_path) == before
    assert digest(tmp_path, allowed="nets.py") == before


@pytest.mark.slow
def test_constants_count_in_the_file_and_in_what_it_imports(tmp_path: Path) -> None:
    write_nets(tmp_path)
    before = digest(tmp_path)
    write_nets(tmp_path, NETS.replace("stride=2", "stride=3"))
    assert digest(tmp_path) != before
    write_nets(tmp_path, layers="SCALE = 1.5\n")
    assert digest(tmp_path) != before
    (tmp_path / "layers.py").unlink()
    assert digest(tmp_path) != before


def test_imports_are_followed_within_packages(tmp_path: Path) -> None:
    package = tmp_path / "vision"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("from .parts import heads\n")
    (package / "nets.py").write_text("def f():\n    import flat\nclass W: pass\n")
    (package / "parts" / "heads.py").write_text("from ..sizes import SIZE\nimport torch\n")
    (package / "sizes.py").write_text("SIZE = 3\n")
    (package / "unused.py").write_text("")
    (tmp_path / "flat.py").write_text("import vision.nets\n")
    names = {"vision", "vision.nets", "vision.parts.heads", "vision.sizes", "flat"}
    assert modules(tmp_path, "vision/nets.py") == names
    before = digest(tmp_path, "vision/nets.py")
    (package / "sizes.py").write_text("SIZE = 4\n")
    assert digest(tmp_path, "vision/nets.py") != before


@pytest.mark.slow
def test_versions_of_other_packages_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nets(tmp_path, f"import yaml, torch, re\n{NETS}")
    asked, digests = set(), set()
    for version in ("1.0", "2.0"):

        def told(top: str, version: str = version) -> str:
            asked.add(top)
            return version

        monkeypatch.setattr(local_files, "version_of", told)
        digests.add(digest(tmp_path))
    assert len(digests) == 2
    assert asked == {"yaml"}


def test_file_that_a_folder_of_its_name_hides_is_refused(tmp_path: Path) -> None:
    write_nets(tmp_path)
    assert digest(tmp_path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text(NETS)
    for allowed in ("", "nets.py"):
        with pytest.raises(CodeProblem, match=r"nets\.py is hidden: .*__init__\.py is imported"):
            digest(tmp_path, allowed=allowed)


def test_file_that_no_import_can_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nets-2.0.py").write_text(NETS)
    (tmp_path / "nets.py").symlink_to("nets-2.0.py")
    with pytest.raises(CodeProblem, match=r"nets-2\.0\.py cannot be imported as nets-2\.0"):
        digest(tmp_path, allowed="nets.py")


def test_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    write_nets(tmp_path)
    write_nets(tmp_path / "inside")
    (tmp_path / "inside" / "layers.py").unlink()
    (tmp_path / "inside" / "layers.py").symlink_to(tmp_path / "layers.py")
    with pytest.raises(CodeProblem, match="leads outside of"):
        digest(tmp_path / "inside")
