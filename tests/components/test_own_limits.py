"""Limits and descriptions of own settings, as literals in the annotations of ``__init__``."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from runner.components.models import Model
from runner.components.own.permission import allow_code
from runner.components.own.problems import CodeProblem
from runner.core.errors import SpecError
from runner.spec.experiment import load_experiment

HEAD = (
    "from typing import Annotated, Literal, Optional\nfrom pydantic import Field\n"
    "from torch import nn\n"
)
BODY = "class Net(nn.Module):\n    def __init__(self, {}):\n        super().__init__()\n"
SPEC = "name: own\ndata: digits\nmodel: {name: 'nets.py:Net', SETTING}\n"


def model(folder: Path, parameters: str, **settings: Any) -> Any:
    (folder / "nets.py").write_text(HEAD + BODY.format(parameters))
    with allow_code(folder):
        return TypeAdapter(Model).validate_python({"name": "nets.py:Net", **settings})


def problem(folder: Path, parameters: str) -> CodeProblem:
    with pytest.raises(ValidationError) as caught:
        model(folder, parameters)
    (detail,) = caught.value.errors()
    found: CodeProblem = detail["ctx"]["problem"]
    return found


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("annotation", "right", "wrong", "kind"),
    [
        ("Annotated[float, Field(ge=0, le=1)]", 0.0, -0.1, "greater_than_equal"),
        ("Annotated[float, Field(gt=0, lt=1)]", 0.5, 0.0, "greater_than"),
        ("Annotated[int, Field(le=-2)]", -2, -1, "less_than_equal"),
        ("Annotated[int, Field(lt=3)]", 2, 3, "less_than"),
        ("Annotated[int, Field(multiple_of=8)]", 16, 12, "multiple_of"),
        ("Annotated[int | None, Field(ge=1)]", None, 0, "greater_than_equal"),
        ("Annotated[Optional[int], Field(ge=1)]", None, 0, "greater_than_equal"),
        ("Annotated[int, Field(ge=1)] | None", None, 0, "greater_than_equal"),
        ("Annotated[str, Field(min_length=2)]", "ab", "a", "string_too_short"),
        ("Annotated[str, Field(max_length=2)]", "ab", "abc", "string_too_long"),
        ("Annotated[str, Field(pattern='^a+$')]", "aa", "ab", "string_pattern_mismatch"),
        ("Annotated[list[int], Field(min_length=2)]", (1, 2), (1,), "too_short"),
        ("Annotated[tuple[int, ...], Field(max_length=1)]", (1,), (1, 2), "too_long"),
        ("list[Annotated[int, Field(ge=1)]]", (1,), (0,), "greater_than_equal"),
        ("'Annotated[int, Field(ge=1)]'", 1, 0, "greater_than_equal"),
        ("typing.Annotated[int, pydantic.Field(ge=1)]", 1, 0, "greater_than_equal"),
        ("Annotated[int, Field(ge=1)]", 1, 1 << 60, "less_than_equal"),
        ("Annotated[str, Field(min_length=1)]", "a", "a" * 1001, "string_too_long"),
    ],
)
def test_limits_are_held_as_those_of_the_program(
    tmp_path: Path, annotation: str, right: Any, wrong: Any, kind: str
) -> None:
    assert model(tmp_path, f"x: {annotation}", x=right).x == right
    with pytest.raises(ValidationError) as caught:
        model(tmp_path, f"x: {annotation}", x=wrong)
    assert [each["type"] for each in caught.value.errors()] == [kind]


@pytest.mark.parametrize(
    ("annotation", "found", "allowed"),
    [
        ("Annotated[int, 3]", "the annotation Annotated[int, 3] is none", "Field(ge=0)"),
        ("Annotated[int, Field(ge=0), Field(le=1)]", "the annotation Annotated[int, ", ""),
        ("Annotated[Annotated[int, Field(ge=0)], Field(le=1)]", "the annotation Annotated[A", ""),
        ("Annotated[dict, Field(ge=0)]", "the annotation Annotated[dict, ", ""),
        ("Annotated[int, Field(3)]", "Field(3): a default stands behind", "as its default"),
        ("Annotated[int, Field(minimum=3)]", "minimum is no limit of a setting", "ge, gt, le"),
        ("Annotated[int, Field(**a)]", "** is no limit of a setting", ""),
        ("Annotated[int, Field(ge=SIZE)]", "ge is SIZE, which is no plain value", ""),
        ("Annotated[int, Field(ge=0.5)]", "ge is 0.5", "a whole number from"),
        ("Annotated[int, Field(ge=True)]", "ge is True", "a whole number from"),
        ("Annotated[int, Field(le=1 << 60)]", "le is 1 << 60, which is no plain value", ""),
        ("Annotated[int, Field(le=9999999999999999)]", "le is 9999999999999999", "from -9"),
        ("Annotated[float, Field(le=1e999)]", "le is inf", "a number from -1e+36 to 1e+36"),
        ("Annotated[float, Field(le='1')]", "le is '1'", "a number from"),
        ("Annotated[int, Field(ge=0, gt=0)]", "ge and gt are both given", "one of them"),
        ("Annotated[int, Field(ge=2, le=1)]", "no number is allowed by ge=2, le=1", ""),
        ("Annotated[int, Field(gt=1, le=1)]", "no number is allowed by gt=1, le=1", ""),
        ("Annotated[int, Field(multiple_of=0)]", "multiple_of is 0", "above 0"),
        ("Annotated[int, Field(pattern='a')]", "pattern is no limit of int", "ge, gt, le"),
        ("Annotated[str, Field(ge=0)]", "ge is no limit of str", "min_length, max_length"),
        ("Annotated[bool, Field(ge=0)]", "ge is no limit of bool", "none"),
        ("Annotated[Literal['a'], Field(ge=0)]", "ge is no limit of Literal", "none"),
        ("Annotated[tuple[int, int], Field(min_length=1)]", "min_length is no limit of a t", ""),
        ("Annotated[int | str, Field(ge=0)]", "ge is no limit of str", ""),
        ("Annotated[str, Field(min_length=-1)]", "min_length is -1", "from 0 to 1,000"),
        ("Annotated[str, Field(max_length=1001)]", "max_length is 1001", "from 0 to 1,000"),
        ("Annotated[str, Field(min_length=3, max_length=2)]", "no length is allowed by", ""),
        ("Annotated[str, Field(pattern='(?=a)')]", "pattern is '(?=a)': look-around", ""),
        ("Annotated[str, Field(pattern=3)]", "pattern is 3", "a regular expression"),
        ("Annotated[str, Field(pattern='\\ud800')]", "pattern is '\\ud800'", "a regular"),
        ("Annotated[int, Field(description='\\ud800')]", "description is", "text of 1 to"),
        ("Annotated[int, Field(description=3)]", "description is", "text of 1 to 1000"),
        ("Annotated[int, Field(description=' ')]", "description is", "text of 1 to 1000"),
        ("list[Annotated[int, Field(description='a')]]", "a description belongs to", ""),
    ],
)
def test_limits_that_cannot_be_read_are_shown_where_they_stand(
    tmp_path: Path, annotation: str, found: str, allowed: str
) -> None:
    told = problem(tmp_path, f"x: {annotation}")
    assert told.found.startswith(found)
    assert allowed in told.allowed
    assert str(told.position) == "nets.py:5:27"


def test_default_outside_of_the_limits_is_refused(tmp_path: Path) -> None:
    told = problem(tmp_path, "x: Annotated[int, Field(ge=1)] = 0")
    assert told.found == "the default of x is 0, which is no Annotated[int, Field(ge=1)]"


def said(folder: Path, parameters: str, setting: str) -> str:
    (folder / "nets.py").write_text(HEAD + BODY.format(parameters))
    (folder / "own.yaml").write_text(SPEC.replace("SETTING", setting))
    with allow_code(folder), pytest.raises(SpecError) as caught:
        load_experiment(folder / "own.yaml")
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("annotation", "setting", "told"),
    [
        ("float, Field(ge=0, le=1, description='kept')", "x: 2.0", "at most 1 (kept)"),
        ("int, Field(multiple_of=8)", "x: 12", "a multiple of 8 (a setting of nets.py:Net)"),
        ("list[int], Field(min_length=2)", "x: [1]", "a list of at least 2 (a setting of"),
        ("str, Field(min_length=3)", "x: ab", "text of at least 3 characters (a setting"),
        ("str, Field(pattern='^a+$')", "x: ab", "text that matches ^a+$ (a setting of"),
        ("int, Field(ge=8, multiple_of=8)", "y: 2", "number at least 8, a multiple of 8 (a"),
        (
            "int, Field(ge=1, description='how\\n wide')",
            "y: 2",
            "a whole number at least 1 (how wide)",
        ),
    ],
)
def test_limits_and_descriptions_reach_the_errors_of_a_spec(
    tmp_path: Path, annotation: str, setting: str, told: str
) -> None:
    shown = said(tmp_path, f"x: Annotated[{annotation}]", setting)
    assert shown.startswith("own.yaml:3:")
    assert told in shown


def test_limits_and_descriptions_are_no_part_of_the_digest(tmp_path: Path) -> None:
    before = model(tmp_path, "x: Annotated[int, Field(ge=0, description='a')] = 1").code
    assert model(tmp_path, "x: Annotated[int, Field(ge=1, description='b')] = 1").code == before
    assert model(tmp_path, "x: int = 1").code == before
    assert model(tmp_path, "x: Annotated[int, Field(ge=0)] = 2").code != before
    (tmp_path / "nets.py").write_text((tmp_path / "nets.py").read_text() + "from pydantic import *")
    with allow_code(tmp_path):
        found = TypeAdapter(Model).validate_python({"name": "nets.py:Net"})
    assert found.code != before


def test_class_with_limits_is_built_with_its_settings(tmp_path: Path) -> None:
    text = HEAD + BODY.format(
        "sizes: Annotated[list[int], Field(max_length=3)], n: Annotated[int, Field(ge=0)] = 2"
    )
    (tmp_path / "nets.py").write_text(text + "        self.given = (sizes, n)\n")
    with allow_code(tmp_path):
        found = TypeAdapter(Model).validate_python({"name": "nets.py:Net", "sizes": (1, 2)})
    assert found.build((1, 8, 8), 2).given == ([1, 2], 2)
