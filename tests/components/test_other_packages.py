"""Packages beside own code: which versions count, and which modules have none."""

import json
from pathlib import Path

import pytest

from runner.components.own import other_packages
from runner.components.own.other_packages import has_no_version, is_keyed, version_of


@pytest.mark.parametrize(
    ("top", "keyed"), [("yaml", True), ("torch", False), ("re", False), ("", False)]
)
def test_packages_of_every_run_are_not_keyed(top: str, keyed: bool) -> None:
    assert is_keyed(top) == keyed


@pytest.mark.slow
def test_version_is_that_of_what_is_installed() -> None:
    assert version_of("yaml")  # of the distribution PyYAML
    assert version_of("no_such_package") == ""
    assert not has_no_version("yaml")
    assert not has_no_version("no_such_package")
    assert not has_no_version("json")


def test_module_on_the_path_alone_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helpers_of_a_test.py").write_text("K = 1")
    assert has_no_version("helpers_of_a_test")


def test_editable_package_has_a_version_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    info = tmp_path / "edited-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edited\nVersion: 1.0\n")
    other_packages._distribution.cache_clear()
    assert not has_no_version("edited")
    origin = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    assert has_no_version("edited")
    other_packages._distribution.cache_clear()
