"""What pyproject.toml allows, what constraints.txt installs and what the README says agree."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONSTRAINTS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"(?m)^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text())
}


def lowest(requirement: Requirement) -> str:
    (bound,) = [each for each in requirement.specifier if each.operator == ">="]
    return bound.version


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *EXTRAS["test"]])
def test_what_the_fast_tests_need_has_a_lowest_version(text: str) -> None:
    assert lowest(Requirement(text))


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["dev"]])
def test_what_is_installed_together_is_allowed(text: str) -> None:
    requirement = Requirement(text)
    if requirement.name != "runner":
        assert CONSTRAINTS[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize(("name", "word"), [("torch", "PyTorch"), ("torchvision", "torchvision")])
def test_the_readme_says_the_lowest_versions(name: str, word: str) -> None:
    (bound,) = [
        lowest(each) for each in map(Requirement, PROJECT["dependencies"]) if each.name == name
    ]
    readme = (ROOT / "README.md").read_text()
    assert f"{word} {bound} or newer" in readme
    assert f"{name} {bound}" in readme


def test_continuous_integration_runs_the_lowest_versions() -> None:
    assert "python tools/lowest.py" in (ROOT / ".ci" / "run").read_text()
