"""Only `runner/artifacts` joins a path below `.runner/`, renames a file or builds its names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import runner
from runner.artifacts import folder
from runner.artifacts.contents import KINDS
from runner.core import artifacts

ROOT = Path(runner.__file__).parent
FILES = {folder.INDEX, folder.CHECKPOINT, folder.TRANSPARENT}
INSIDE = {folder.NAME, *KINDS, *artifacts.KINDS, *FILES}
"""Names of what lies below `.runner/`, and of itself."""

PREFIXES = tuple(f"{kind}/" for kind in artifacts.KINDS)
JOINING = ("joinpath", "with_name", "glob", "rglob", "join", "startswith", "removeprefix")
RENAMING = ("rename", "replace", "renames", "move", "link_to", "symlink_to", "hardlink_to")


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the literal beginnings of strings in an expression."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def is_of_a_path(call: ast.Call) -> bool:
    """Return whether a call renames: text is replaced with two arguments, a path with one."""
    assert isinstance(call.func, ast.Attribute)
    home = call.func.value
    if isinstance(home, ast.Name) and home.id in ("os", "shutil"):
        return True
    return call.func.attr != "replace" or len(call.args) == 1


def faults(text: str) -> Iterator[str]:
    """Yield what a module does that only `artifacts` may do, with its line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.BinOp(op=ast.Div()) if INSIDE.intersection(texts(node.right)):
                if "torch.hub" not in ast.unparse(node.left):  # torch has a folder of its own
                    yield f"{node.lineno}: joins a path below .runner/"
            case ast.Call(func=ast.Attribute(attr=name)):
                named = {text for each in node.args for text in texts(each)}
                if name in JOINING and INSIDE & named:
                    yield f"{node.lineno}: names a part of .runner/"
                if name in RENAMING and is_of_a_path(node):
                    yield f"{node.lineno}: renames"
            case ast.Constant(value=str(value)):
                if value in (folder.NAME, *FILES) or value.startswith(PREFIXES):
                    yield f"{node.lineno}: writes {value!r}"


@pytest.mark.parametrize(
    "code",
    [
        'folder / "states"',
        'folder / "weights" / database',
        'Path(home, x) / ".runner"',
        'folder / f"hashes"',
        'folder.joinpath("pixels", key)',
        'os.path.join(folder, "features")',
        "path.rename(other)",
        "path.replace(other)",
        "os.replace(path, other)",
        "shutil.move(path, other)",
        'f"pixels/{key}"',
        '"weights/" + key',
        'name.startswith("states/")',
        'folder.rglob("checkpoint.json")',
    ],
)
def test_check_finds_what_only_the_owner_may_do(code: str) -> None:
    assert list(faults(code))


@pytest.mark.parametrize(
    "code",
    [
        'text.replace("a", "b")',
        'index["pixels"]',
        'settings["weights"]',
        "a / 2",
        "x.replace(a, b)",
    ],
)
def test_check_allows_what_everybody_may_do(code: str) -> None:
    assert list(faults(code)) == []


@pytest.mark.slow
def test_artifacts_alone_join_below_the_folder_and_rename() -> None:
    owners = {ROOT / "core" / "artifacts.py", *(ROOT / "artifacts").glob("*.py")}
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in sorted(ROOT.rglob("*.py"))
        if path not in owners
        for fault in faults(path.read_text())
    ]
    assert found == []


def test_renames_stand_in_one_module() -> None:
    renaming = {
        path.name
        for path in (ROOT / "artifacts").glob("*.py")
        if any("renames" in fault for fault in faults(path.read_text()))
    }
    assert renaming == {"atomic.py"}
