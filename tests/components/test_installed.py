"""Components of installed packages: found, read and hashed without being imported."""

import importlib.machinery
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from own_cells import CELLS, write_images
from packages import FILES, MODELS, install, site_folder
from pydantic import TypeAdapter, ValidationError

from runner.components.component import keyed_settings
from runner.components.data import Data
from runner.components.data.dataset import DataAccess
from runner.components.models import Model
from runner.components.own import installed
from runner.components.own.permission import allow_code, forget_packages
from runner.components.own.problems import KIND, CodeProblem

pytestmark = pytest.mark.slow

__all__ = ["site_folder"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, in which a package that is imported leaves a file."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def model(name: str = "mynets:wide_net", **settings: Any) -> Any:
    forget_packages()
    return TypeAdapter(Model).validate_python({"name": name, **settings})


def problem(name: str = "mynets:wide_net") -> CodeProblem:
    with pytest.raises(ValidationError) as caught:
        model(name)
    (detail,) = caught.value.errors()
    assert detail["type"] == KIND
    found: CodeProblem = detail["ctx"]["problem"]
    return found


def test_class_is_read_without_permission_and_imported_when_it_is_built(
    site_folder: Path, home: Path
) -> None:
    install(site_folder)
    found = model(width=3)
    assert (found.name, found.width, found.version) == ("mynets:wide_net", 3, None)
    assert not (home / "was_imported").exists()
    assert found.build((1, 8, 8), 10).inside.out_features == 3
    assert (home / "was_imported").exists()
    assert "mynets" not in sys.modules
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(widht=3)


def test_meaning_of_the_modules_and_the_version_are_in_the_key(site_folder: Path) -> None:
    install(site_folder)
    before = keyed_settings(model())
    install(site_folder, files={**FILES, "models.py": f"# better\n{MODELS}", "unused.py": "A = 1"})
    assert keyed_settings(model()) == before
    install(site_folder, files={"sizes.py": "SCALE = 2.0\n"})
    assert keyed_settings(model()) != before
    install(site_folder)
    assert keyed_settings(model()) == before
    (site_folder / "mynets-1.0.dist-info" / "METADATA").write_text("Name: mynets\nVersion: 1.1\n")
    (site_folder / "mynets-1.0.dist-info").rename(site_folder / "mynets-1.1.dist-info")
    assert keyed_settings(model()) != before


def test_other_packages_in_the_same_folder_are_no_part_of_it(site_folder: Path) -> None:
    (site_folder / "others.py").write_text("A = 1\n")
    install(site_folder, files={**FILES, "sizes.py": "import others\nSCALE = 1.0\n"})
    found = model()
    assert set(found.own.files.modules) == {"mynets", "mynets.models", "mynets.sizes"}
    (site_folder / "others.py").write_text("A = 2\n")
    assert model().code == found.code


def test_names_are_told_with_the_nearest(site_folder: Path) -> None:
    assert problem().allowed == "no package offers anything"
    install(site_folder)
    told = problem("mynets:wide_nett")
    assert told.found == "no installed package offers 'mynets:wide_nett'"
    assert (told.allowed, told.suggestion) == ("mynets:wide_net", "mynets:wide_net")
    told = problem("MyNets:wide_net")
    assert "normal form" in told.found
    assert told.suggestion == "mynets:wide_net"


@pytest.mark.parametrize(
    "name",
    [":wide_net", "mynets:", "my nets:a", "mynets:a:b", "mynets:../a", "-a:b", "a" * 500 + ":b"],
)
def test_names_of_another_form_are_refused(site_folder: Path, name: str) -> None:
    assert "is no name of own code" in problem(name).found


def test_dashes_and_namespaces_without_init_are_read(site_folder: Path) -> None:
    files = {name: text for name, text in FILES.items() if name != "__init__.py"}
    install(site_folder, name="My_Nets", offers="wide-net.v2 = mynets.models:WideNet", files=files)
    assert model("my-nets:wide-net.v2").build((1, 8, 8), 10)


@pytest.mark.parametrize(
    ("offers", "found"),
    [
        ("wide_net = mynets.models", "stands for 'mynets.models', which is no class of a module"),
        ("wide_net = mynets.models:A.B", "which is no class of a module"),
        ("wide_net = ../evil:A", "which is no class of a module"),
        ("wide_net = mynets.gone:A", "mynets 1.0 has no source of mynets.gone in"),
        ("wide_net = mynets.models:WideNett", "mynets/models.py has no class WideNett"),
        ("wide_net = mynets:WideNet", "mynets/__init__.py has no class WideNet"),
    ],
)
def test_entry_points_that_lead_to_no_class_are_told(
    site_folder: Path, offers: str, found: str
) -> None:
    install(site_folder, offers=offers)
    assert found in problem().found


@pytest.mark.parametrize(
    "suffix", [importlib.machinery.EXTENSION_SUFFIXES[0], importlib.machinery.BYTECODE_SUFFIXES[0]]
)
@pytest.mark.parametrize("module", ["models", "sizes"])
def test_compiled_modules_have_no_source(site_folder: Path, suffix: str, module: str) -> None:
    install(site_folder)
    path = site_folder / "mynets" / f"{module}.py"
    path.rename(path.with_name(f"{module}{suffix}"))
    assert problem().found == (
        f"mynets.{module} of mynets 1.0 is compiled: its source is not there to be read"
    )


def test_two_packages_of_one_name_are_not_chosen_between(
    site_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(site_folder)
    install(tmp_path / "second", version="2.0")
    monkeypatch.setattr("site.getsitepackages", lambda: [site_folder, tmp_path / "second"])
    told = problem().found
    assert told.startswith("'mynets:wide_net' may be one of several: mynets 1.0 in ")
    assert f"and mynets 2.0 in {tmp_path / 'second'}" in told


def test_packages_elsewhere_on_the_path_offer_nothing(
    site_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stranger's folder may hold them, in which somebody works."""
    install(home)
    monkeypatch.syspath_prepend(home)
    monkeypatch.syspath_prepend("")
    with allow_code(home):
        assert "no installed package offers" in problem().found
    assert not (home / "was_imported").exists()


def test_folder_of_an_installer_counts_unless_it_is_the_current_one_or_in_pythonpath(
    site_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of an environment that this one builds upon."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    other = tmp_path / "other" / "packages-of-a-test"
    install(other)
    monkeypatch.syspath_prepend(other)
    assert "no installed package offers" in problem().found
    monkeypatch.setattr(installed, "INSTALLERS", (other.name,))
    assert model()
    link = tmp_path / "link"
    link.symlink_to(other)
    for named in (str(other), f"elsewhere{os.pathsep}{link}", "other/packages-of-a-test"):
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setenv("PYTHONPATH", named)
            assert "no installed package offers" in problem().found
    assert model()
    monkeypatch.chdir(other)
    assert "no installed package offers" in problem().found


def test_module_of_the_name_elsewhere_on_the_path_is_not_taken(
    site_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site_folder)
    (home / "mynets").mkdir()
    (home / "mynets" / "__init__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(home)
    found = model()
    assert found.own.files.file.path == site_folder / "mynets" / "models.py"
    assert found.build((1, 8, 8), 10)


def test_editable_package_is_read_where_it_is_edited(
    site_folder: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    install(site_folder, project=project)
    assert f"installed from {project}, but there is no mynets" in problem().found
    monkeypatch.syspath_prepend(project)
    before = model().code
    install(site_folder, project=project, files={"sizes.py": "SCALE = 2.0\n"})
    assert model().code != before
    (home / "mynets.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(home)
    assert f"but mynets is imported from {home / 'mynets'}" in problem().found


def test_version_holds_what_cannot_be_read_unless_it_is_editable(
    site_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**FILES, "sizes.py": "SCALE = 1.0 if open else exec\n"}
    install(site_folder, files=files)
    assert model().version is None
    shutil.rmtree(site_folder / "mynets-1.0.dist-info")
    install(site_folder, project=tmp_path / "project", files=files)
    monkeypatch.syspath_prepend(tmp_path / "project")
    with pytest.raises(ValidationError, match=r"uses `\w+` \(mynets/sizes\.py:1:"):
        model()
    assert model(version=1).version == 1


def test_files_that_a_package_declares_are_in_its_digest(site_folder: Path) -> None:
    files = {**FILES, "sizes.py": "READS = ['scale.txt']\nSCALE = 1.0\n", "scale.txt": "1"}
    install(site_folder, files=files)
    before = model()
    assert [each.shown for each in before.own.files.declared] == ["mynets/scale.txt"]
    install(site_folder, files={"scale.txt": "2"})
    assert model().code != before.code


def test_files_that_an_installer_links_are_read(site_folder: Path, tmp_path: Path) -> None:
    install(site_folder)
    kept = tmp_path / "kept.py"
    (site_folder / "mynets" / "models.py").rename(kept)
    (site_folder / "mynets" / "models.py").symlink_to(kept)
    assert model().build((1, 8, 8), 10)


@pytest.mark.parametrize("text", ["wide_net", "[", "\x00", "wide_net = \n"])
def test_what_is_not_installed_properly_offers_nothing(site_folder: Path, text: str) -> None:
    install(site_folder)
    broken = site_folder / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text(f"[runner.components]\n{text}")
    (site_folder / "empty-1.0.dist-info").mkdir()
    assert model()


def test_data_sets_are_offered_and_known_by_what_they_give(site_folder: Path) -> None:
    def given(version: str) -> Any:
        text = CELLS.replace("Path, stain", "Path = 'cells.npz', stain")
        offers = "cells = mynets.cells:Cells"
        install(site_folder, version=version, offers=offers, files={"cells.py": text})
        forget_packages()
        return TypeAdapter(Data).validate_python({"dataset": "mynets:cells"})

    write_images(site_folder)
    access = DataAccess((site_folder,), lambda root, names: [])
    first = given("1.0")
    fingerprint = first.build(access).fingerprint
    shutil.rmtree(site_folder / "mynets-1.0.dist-info")
    second = given("2.0")
    assert second.code != first.code
    assert keyed_settings(second) == keyed_settings(first)
    assert second.build(access).fingerprint == fingerprint
