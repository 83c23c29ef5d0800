"""What of own code cannot be read from its text is found by its names."""

import ast
from pathlib import Path

import pytest

from runner.components.own.unreadable import unreadable

pytestmark = pytest.mark.slow


def words(text: str, *local: str) -> list[str]:
    return [word for word, _ in unreadable(ast.parse(text), lambda top: top in local)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("exec('x = 1')", "exec"),
        ("run = exec", "exec"),
        ("open('w.txt')", "open"),
        ("import importlib.util", "importlib"),
        ("from pickle import loads", "pickle"),
        ("import builtins", "builtins"),
        ("import torch\nw = torch.load('w.pt')", "torch.load"),
        ("import torch\nm = torch.hub.load('a/b', 'c')", "torch.hub.load"),
        ("import numpy as np\nw = np.load('w.npy')", "np.load"),
        ("from torch import load", "torch.load"),
        ("from pathlib import Path\nt = Path('w').read_text()", "read_text"),
        ("from PIL import Image\ni = Image.open('a.png')", "Image.open"),
        ("import os\nx = os.environ['X']", "os.environ"),
        ("from os import getenv", "os.getenv"),
        ("import sys\nsys.path.insert(0, 'lib')", "sys.path"),
        ("from layers import *", "import *"),
        ("from .layers import *", "import *"),
    ],
)
def test_what_runs_or_reads_something_else_is_found(text: str, word: str) -> None:
    assert words(text, "layers") == [word]


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nmodel = torch.compile(torch.nn.Linear(1, 1)).eval()",
        "import os\nimport sys\nname = os.path.join('a', 'b')\nprint(sys.version)",
        "from torch.nn import *",
        "from re import compile\npattern = compile('x')",
        "class A:\n    def load(self):\n        return self.load()",
        "import yaml",
    ],
)
def test_usual_code_is_left_alone(text: str) -> None:
    assert words(text) == []


def test_module_without_a_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helpers_beside.py").write_text("K = 1")
    assert words("import helpers_beside") == ["import helpers_beside"]
    assert words("from helpers_beside import K") == ["import helpers_beside"]
    assert words("import helpers_beside", "helpers_beside") == []
