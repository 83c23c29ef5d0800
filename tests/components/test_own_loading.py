"""Own code, imported: from the bytes that were read, among its own modules, with clear errors."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from own_nets import write_nets
from pydantic import TypeAdapter

from runner.components.losses import Loss
from runner.components.models import Model
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed

Build = Callable[..., Any]
NET = "class Net(nn.Module):\n    def __init__(self, width: int = 2):\n        super().__init__()\n"


@pytest.fixture
def settings(tmp_path: Path) -> Build:
    """Return a function from the text of a file, and its name, to a model's settings."""

    def read(text: str = "", file: str = "nets.py", **values: Any) -> Any:
        if text:
            (tmp_path / file).write_text(f"from torch import nn\n{text}")
        with allow_code(tmp_path):
            return TypeAdapter(Model).validate_python({"name": f"{file}:Net", **values})

    return read


def test_settings_and_what_the_program_gives_reach_the_class(settings: Build) -> None:
    text = (
        "class Net(nn.Module):\n    def __init__(self, image_shape, in_channels, num_classes,"
        " sizes: list[int] = [3], pair: tuple[int, ...] = (1,)):\n        super().__init__()\n"
        "        self.given = (image_shape, in_channels, num_classes, sizes, pair)\n"
    )
    found = settings(text, sizes=(4, 5)).build((3, 8, 8), 7)
    assert found.given == ((3, 8, 8), 3, 7, [4, 5], (1,))


@pytest.mark.parametrize(
    ("annotation", "value", "given"),
    [
        ("list[int]", (8, 16), [8, 16]),
        ("list[int] | None", (8, 16), [8, 16]),
        ("list[int] | None", None, None),
        ("'list[int]'", (8,), [8]),
        ("Optional[list[int]]", (8,), [8]),
        ("int | tuple[int, ...]", (8, 16), (8, 16)),
        ("int | tuple[int, ...]", 8, 8),
        ("tuple[list[int], ...]", ((8, 16), (32,)), ([8, 16], [32])),
        ("tuple[list[int], str]", ((8, 16), "a"), ([8, 16], "a")),
        ("list[list[int] | None]", ((8,), None), [[8], None]),
        ("list[tuple[int, int]]", ((8, 16),), [(8, 16)]),
    ],
)
def test_a_list_is_given_as_a_list_and_a_tuple_as_a_tuple(
    settings: Build, annotation: str, value: Any, given: Any
) -> None:
    text = (
        "from typing import Optional\nclass Net(nn.Module):\n"
        f"    def __init__(self, sizes: {annotation}):\n        super().__init__()\n"
        "        self.given = sizes\n"
    )
    assert settings(text, sizes=value).build((1, 8, 8), 2).given == given


def test_a_file_is_run_once_for_all_of_its_classes(tmp_path: Path) -> None:
    text = (
        "from enum import Enum\nfrom torch import nn\nKind = Enum('Kind', 'A B')\n"
        f"{NET}        self.kind = Kind.A\n"
        "class Poly(nn.Module):\n    def forward(self, logits, labels):\n        return Kind.A\n"
    )
    (tmp_path / "nets.py").write_text(text)
    with allow_code(tmp_path):
        net = TypeAdapter(Model).validate_python({"name": "nets.py:Net"}).build((1, 8, 8), 2)
        loss = TypeAdapter(Loss).validate_python({"name": "nets.py:Poly"}).make()
    assert loss(None, None) is net.kind


def test_what_is_run_are_the_bytes_that_were_read(settings: Build, tmp_path: Path) -> None:
    text = f"import layers\nclass Old: pass\n{NET}        self.scale = layers.SCALE\n"
    write_nets(tmp_path)
    model = settings(text)
    (tmp_path / "nets.py").write_text("raise RuntimeError\n")
    (tmp_path / "layers.py").write_text("SCALE = 9\n")
    assert model.build((1, 8, 8), 2).scale == 1.0
    newer = settings(text)
    assert newer.code != model.code
    assert newer.build((1, 8, 8), 2).scale == 9
    assert model.build((1, 8, 8), 2).scale == 1.0


def test_own_modules_stay_out_of_the_way_of_installed_ones(settings: Build, tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("HERE = 5\n")
    found = settings(f"import json, os.path\n{NET}        self.here = json.HERE\n")
    before = list(sys.path)
    assert found.build((1, 8, 8), 2).here == 5
    assert sys.path == before
    assert sys.modules["json"] is json


def test_packages_relative_imports_circles_and_dataclasses_work(
    settings: Build, tmp_path: Path
) -> None:
    package = tmp_path / "vision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from . import nets\n@dataclass\nclass Part:\n    side: int = 3\n"
    )
    text = (
        "from . import parts\nimport vision.parts as again\nfrom vision.parts import Part\n"
        f"{NET}        self.parts = (parts.Part(), again.Part(), Part(4).side)\n"
    )
    one, two, side = settings(text, "vision/nets.py").build((1, 8, 8), 2).parts
    assert (one, one.side, side) == (two, 3, 4)


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"1 / 0\n{NET}", r"nets\.py cannot be imported: \S*nets\.py:2: ZeroDivisionError"),
        (f"import gone_far\n{NET}", r"nets\.py:2: ModuleNotFoundError: No module named 'gone_far'"),
        (f"from .x import y\n{NET}", r"nets\.py:2: ImportError"),
        (f"raise SystemExit\n{NET}", r"SystemExit: it ended the process"),
        (f"{NET}        self.a\n", r"cannot be built: \S*nets\.py:5: AttributeError: 'Net' object"),
        (f"{NET}Net = 3\n", r"'nets\.py:Net' is no class once it is imported"),
        (f"{NET}Net = dict\n", r"'nets\.py:Net' is no subclass of torch\.nn\.Module"),
        (f"{NET}del Net\n", r"nets\.py cannot be imported: AttributeError"),
    ],
)
def test_errors_of_own_code_are_told_with_their_line(settings: Build, text: str, told: str) -> None:
    with pytest.raises(OwnCodeFailed, match=told):
        settings(text).build((1, 8, 8), 2)
