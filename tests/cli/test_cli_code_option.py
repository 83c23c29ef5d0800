"""`--code`, and what the pyproject.toml of the current folder allows beside it."""

from pathlib import Path

import pytest
from commands import Call
from own_nets import write_nets

NOT_ALLOWED = (
    "error: own.yaml:3:15: 'nets.py:WideNet' is Python code; allow it with --code nets.py\n"
)


@pytest.fixture(autouse=True)
def _nets(tmp_path: Path) -> None:
    write_nets(tmp_path)


def project(text: str, folder: str = ".") -> None:
    Path(folder, "pyproject.toml").write_text(text)


def test_project_of_the_current_folder_allows_what_the_option_does(call: Call) -> None:
    assert call("validate", "own.yaml").err == NOT_ALLOWED
    assert call("validate", "own.yaml", "--code", "nets.py").code == 0
    project('[tool.runner]\ncode = ["nets.py"]\n')
    assert call("validate", "own.yaml").code == 0
    project('[tool.runner]\ncode = ["."]\n')
    assert call("validate", "own.yaml").code == 0


def test_project_beside_a_spec_elsewhere_allows_nothing(call: Call) -> None:
    other = Path("other")
    other.mkdir()
    write_nets(other)
    project('[tool.runner]\ncode = ["nets.py"]\n', "other")
    assert "is Python code; allow it" in call("validate", "other/own.yaml").err


@pytest.mark.parametrize(
    "text",
    [
        "[tool.other]\ncode = 1\n",
        "[project]\nname = 'runner'\n",
        "{",
        "tool = 'runner'\n",
        "[tool]\nrunner = ['nets.py']\n",
        "[tool.runner]\nother = ['nets.py']\n",
    ],
)
def test_project_of_something_else_is_left_alone(text: str, call: Call) -> None:
    project(text)
    assert call("validate", "own.yaml").err == NOT_ALLOWED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.runner]\ncode = 'nets.py'\n", "[tool.runner] code is 'nets.py'"),
        ("[tool.runner]\ncode = [1]\n", "[tool.runner] code is [1]"),
        ("[tool.runner]\ncode = [\n", "pyproject.toml is no TOML"),
        ("[tool.runner]\ncode = ['gone.py']\n", "--code gone.py: No such file or directory"),
    ],
)
def test_wrong_section_is_an_error_before_any_work(text: str, message: str, call: Call) -> None:
    project(text)
    called = call("validate", "own.yaml")
    assert called.code == 2
    assert message in called.err
