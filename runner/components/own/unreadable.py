"""What of own code cannot be read from its text: what it runs or reads besides itself.

A digest of the text does not hold such things, so that somebody has to number them. What is found
is found by names; nobody is kept from hiding something on purpose.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from runner.components.own.other_packages import has_no_version

NAMES = frozenset({"exec", "eval", "compile", "__import__", "open"})
"""Functions of Python that run a text or read a file."""
MODULES = frozenset(
    {
        *("builtins", "ctypes", "importlib", "joblib", "marshal", "pickle", "runpy", "shelve"),
        *("requests", "socket", "sqlite3", "subprocess", "urllib"),
    }
)
"""Modules that bring in what stands elsewhere."""
FILES = frozenset(
    {
        *("open", "read_text", "read_bytes", "read_image", "imread"),
        *("fromfile", "genfromtxt", "loadtxt", "memmap", "open_memmap"),
        *("load_file", "safe_open"),
    }
)
"""Methods and functions by which a file is read, whoever has them."""
READING = FILES | {"load_state_dict_from_url", "environ", "getenv"}
"""With those by which the network or the environment is read."""
LOADING = "load"
"""So does this one of an imported module, as `torch.load`; an object's own may be anything."""
HUB = "hub"
"""Unless it is that of `torch.hub`, which runs what others have written."""


def unreadable(
    tree: ast.Module, is_local: Callable[[str], bool], declares: bool = False
) -> Iterator[tuple[str, ast.AST]]:
    """Yield what of a module's effect is not in its text, with the place.

    Args:
        tree: of the module.
        is_local: whether a top-level module is own code too.
        declares: whether the files that it reads are declared: reading one is then nothing to tell,
            unless its name is written where it is read, which is looked for in the current folder.
    """
    imported = set(_imported(tree))
    for node in ast.walk(tree):
        if declares and isinstance(node, ast.Call) and _is_of_current_folder(node):
            yield ast.unparse(node)[:60], node
        word = _word(node, imported, is_local)
        if word and not (declares and reads_a_file(word)):
            yield word, node


def reads_a_file(word: str) -> bool:
    """Return whether what was found reads a file, and does nothing else."""
    above, _, last = word.rpartition(".")
    return last in FILES or (last == LOADING and not above.endswith(HUB))


def _is_of_current_folder(call: ast.Call) -> bool:
    """Return whether a call reads a file of a name that stands there, as ``open("a.txt")``."""
    named = call.args[0] if call.args else None
    if isinstance(call.func, ast.Attribute):
        last, inner = call.func.attr, call.func.value
        if isinstance(inner, ast.Call) and _last(inner.func) == "Path" and inner.args:
            named = inner.args[0]
    else:
        last = _last(call.func)
    is_text = isinstance(named, ast.Constant) and isinstance(named.value, str)
    return is_text and (last in FILES or last == LOADING)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _word(node: ast.AST, imported: set[str], is_local: Callable[[str], bool]) -> str:
    if isinstance(node, ast.Name):
        is_read = isinstance(node.ctx, ast.Load)
        return node.id if is_read and node.id in NAMES - imported else ""
    if isinstance(node, ast.Attribute):
        root = _root(node)
        shown = ast.unparse(node) if root else node.attr
        if node.attr in READING or (node.attr == LOADING and root in imported):
            return shown
        return shown if (root, node.attr) == ("sys", "path") else ""
    if isinstance(node, ast.Import):
        tops = [alias.name.partition(".")[0] for alias in node.names]
        return next(filter(None, (_module_word(top, is_local) for top in tops)), "")
    if isinstance(node, ast.ImportFrom):
        return _from_word(node, is_local)
    return ""


def _from_word(node: ast.ImportFrom, is_local: Callable[[str], bool]) -> str:
    names = [alias.name for alias in node.names]
    top = (node.module or "").partition(".")[0]
    if node.level or is_local(top):
        return "import *" if "*" in names else ""
    words = [
        f"{node.module}.{name}"
        for name in names
        if name in READING or name == LOADING or (top, name) == ("sys", "path")
    ]
    if words:
        return next((word for word in words if not reads_a_file(word)), words[0])
    return _module_word(top, is_local)


def _module_word(top: str, is_local: Callable[[str], bool]) -> str:
    if is_local(top):
        return ""
    if top in MODULES:
        return top
    return f"import {top}" if has_no_version(top) else ""


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names that imports give to things."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]


def _root(node: ast.Attribute) -> str:
    """Return `torch` for `torch.hub.load`, "" for what does not begin with a name."""
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) else ""
