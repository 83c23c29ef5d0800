"""Settings of own code, read from its text alone."""

from pathlib import Path
from typing import Any

import pytest
from own_nets import write_nets
from pydantic import TypeAdapter, ValidationError

from runner.components.component import canonical_settings, keyed_settings
from runner.components.data import Data
from runner.components.models import Model
from runner.components.own.permission import allow_code
from runner.components.own.problems import CodeProblem

HEAD = "raise RuntimeError('was imported')\nfrom torch import nn\nfrom typing import *\n"


def model(folder: Path, parameters: str, **settings: Any) -> Any:
    """Return the settings of a class whose ``__init__`` has these parameters."""
    body = f"class Net(nn.Module):\n    def __init__(self, {parameters}):\n        pass\n"
    (folder / "nets.py").write_text(HEAD + body)
    with allow_code(folder):
        return TypeAdapter(Model).validate_python({"name": "nets.py:Net", **settings})


def problem(folder: Path, parameters: str) -> CodeProblem:
    with pytest.raises(ValidationError) as caught:
        model(folder, parameters)
    (detail,) = caught.value.errors()
    found: CodeProblem = detail["ctx"]["problem"]
    return found


def wrong(folder: Path, parameters: str, **settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model(folder, parameters, **settings)
    return str(caught.value.errors()[0]["type"])


PARAMETERS = (
    "num_classes: int, image_shape, width: int = 3, rate: float = 1, wide: bool = False,"
    " kind: Literal['a', 'b'] = 'a', sizes: list[int] = [1, 2], pair: tuple[int, float] = (1, 2.5),"
    " rest: 'tuple[str, ...]' = (), few: Optional[int] = None, *, some: int | None = 4,"
    " none: None | float = None, deep: list[list[int]] = [], never: Optional[None] = None"
)


def test_annotations_and_literals_are_settings_and_nothing_is_imported(tmp_path: Path) -> None:
    found = canonical_settings(model(tmp_path, PARAMETERS))
    assert found == {
        **{"name": "nets.py:Net", "code": found["code"], "version": None},
        **{"classes": None, "freeze": "none", "init": "default"},
        **{"width": 3, "rate": 1.0, "wide": False, "kind": "a", "sizes": [1, 2]},
        **{
            "pair": [1, 2.5],
            "rest": [],
            "few": None,
            "some": 4,
            "none": None,
            "deep": [],
            "never": None,
        },
    }
    assert isinstance(found["rate"], float)


@pytest.mark.slow
def test_values_are_held_strictly_against_the_annotations(tmp_path: Path) -> None:
    assert model(tmp_path, PARAMETERS, sizes=(), some=None, width=9).width == 9
    for settings, kind in (
        ({"width": 1.5}, "int_type"),
        ({"width": True}, "int_type"),
        ({"width": 1 << 60}, "less_than_equal"),
        ({"rate": float("nan")}, "finite_number"),
        ({"rate": "1"}, "float_type"),
        ({"wide": 1}, "bool_type"),
        ({"kind": "c"}, "literal_error"),
        ({"sizes": (1.5,)}, "int_type"),
        ({"sizes": (1,) * 1001}, "too_long"),
        ({"pair": (1,)}, "missing"),
        ({"rest": ("x" * 1001,)}, "string_too_long"),
        ({"widht": 3}, "extra_forbidden"),
        ({"num_classes": 3}, "extra_forbidden"),
        ({"code": "0"}, "own_code"),
    ):
        assert wrong(tmp_path, PARAMETERS, **settings) == kind, settings


def test_a_parameter_without_a_default_must_be_given(tmp_path: Path) -> None:
    assert wrong(tmp_path, "width: int") == "missing"
    assert model(tmp_path, "width: int", width=2).width == 2


@pytest.mark.parametrize(
    ("parameters", "found", "column"),
    [
        ("width", "width has no annotation", 24),
        ("width=3", "width has no annotation", 24),
        ("a: int = 1, *rest", "__init__ takes *rest", 37),
        ("**rest", "__init__ takes *rest", 26),
        ("a: int, /", "a can only be given by its place", 24),
        ("a: dict", "the annotation dict is none", 27),
        ("a: 'int['", "the annotation 'int[' is none", 27),
        ("a: Literal[x]", "the annotation Literal[x] is none", 27),
        ("a: Literal['\\ud800']", "the annotation Literal['\\ud800'] is none", 27),
        ("a: list", "the annotation list is none", 27),
        ("a: list[int] | tuple[int, int]", "the annotation list[int] | tuple[int, int] is", 27),
        ("a: int = 'x'", "the default of a is 'x', which is no int", 24),
        ("a: int = None", "the default of a is None, which is no int", 24),
        ("a: int = WIDTH", "the default of a is WIDTH, which is no plain value", 24),
        ("a: float = 1e999", "the default of a is 1e309, which is no float", 24),
        ("classes: int", "classes cannot be a setting", 24),
        ("name: str", "name cannot be a setting", 24),
        ("copy: bool", "copy cannot be a setting", 24),
        ("build: int = 1", "build cannot be a setting", 24),
        ("make: int = 1", "make cannot be a setting", 24),
        ("own: int = 1", "own cannot be a setting", 24),
        ("unreadable: int = 1", "unreadable cannot be a setting", 24),
        ("_a: int", "_a cannot be a setting", 24),
    ],
)
def test_parameters_that_cannot_be_settings_are_shown_where_they_stand(
    tmp_path: Path, parameters: str, found: str, column: int
) -> None:
    told = problem(tmp_path, parameters)
    assert told.found.startswith(found)
    assert str(told.position) == f"nets.py:5:{column}"


def read(folder: Path, text: str, name: str = "Net") -> Any:
    (folder / "nets.py").write_text(text)
    with allow_code(folder):
        return TypeAdapter(Model).validate_python({"name": f"nets.py:{name}"})


def test_init_may_be_that_of_a_base_in_the_file(tmp_path: Path) -> None:
    base = "class Base(nn.Module):\n    def __init__(self, width: int = 7): pass\n"
    assert read(tmp_path, f"{base}class Net(Base): pass\n").width == 7
    assert "width" not in type(read(tmp_path, "class Net(nn.Module): pass\n")).model_fields
    for text in ("class Net(Other): pass\n", "class Net(Net): pass\n", "class Net(A, B): pass\n"):
        with pytest.raises(ValidationError, match="Net has no __init__ in this file"):
            read(tmp_path, text)


def test_class_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"has no class Nett\n.*did you mean: Net\n"):
        read(tmp_path, "class Net: pass\nclass _Hidden: pass\n", "Nett")


@pytest.mark.parametrize("text", ["def (", "x = '\x00'", "(" * 5000, "\xff"])
def test_file_that_is_no_python_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "nets.py").write_bytes(text.encode("latin-1"))
    with (
        allow_code(tmp_path),
        pytest.raises(ValidationError, match=r"nets\.py:\d+:\d+: no Python"),
    ):
        TypeAdapter(Model).validate_python({"name": "nets.py:Net"})


def test_what_a_digest_cannot_hold_needs_a_version(tmp_path: Path) -> None:
    write_nets(tmp_path)
    text = "class Net:\n    def __init__(self, width: int = 7):\n        exec('a')\n"
    with pytest.raises(ValidationError, match=r"uses `exec` \(nets\.py:3:9\)"):
        read(tmp_path, text)
    keyed = []
    for version in (1, 2):
        with allow_code(tmp_path):
            settings = {"name": "nets.py:Net", "version": version}
            keyed.append(keyed_settings(TypeAdapter(Model).validate_python(settings)))
    assert [each.pop("version") for each in keyed] == [1, 2]
    assert keyed[0] == keyed[1]
    for line in ("import importlib.util", "from layers import *", "from pickle import loads"):
        with pytest.raises(ValidationError, match=r"uses `.*` \(nets\.py:1:1\)"):
            read(tmp_path, f"{line}\nclass Net: pass\n")
    assert read(tmp_path, "from torch.nn import *\nimport re\nre.compile('a')\nclass Net: pass\n")


@pytest.mark.parametrize(
    "annotation",
    [
        "Path",
        "pathlib.Path",
        "'Path'",
        "Path | None",
        "None | Path",
        "Optional[Path]",
        "Path | str",
    ],
)
def test_paths_are_settings_of_data_sets_alone(tmp_path: Path, annotation: str) -> None:
    assert problem(tmp_path, f"num_classes: int, home: {annotation}").found.startswith("the annot")
    (tmp_path / "sets.py").write_text(
        "class Set:\n    def __init__(\n"
        f"        self, home: {annotation} = 'a', none: {annotation} = None\n    ):\n        pass\n"
    )
    with allow_code(tmp_path):
        adapter, named = TypeAdapter(Data), {"dataset": "sets.py:Set"}
        if "None" in annotation or "Optional" in annotation:
            found = adapter.validate_python(named)
            assert (found.home, found.none) == ("a", None)  # type: ignore[union-attr]
            assert "home" not in keyed_settings(found)
        else:
            with pytest.raises(ValidationError, match=r"which is no|is none of a setting"):
                adapter.validate_python(named)
