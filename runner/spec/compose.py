"""One document from a spec and what it extends.

Owns `extends`: settings are inherited, `sweep`, `tables` and `published` only when named.
"""

from __future__ import annotations

from pathlib import Path

from runner.core.errors import Problem, SpecError, nearest
from runner.spec.names import SETTING_ROOTS, spell_out
from runner.spec.nodes import Node, merge
from runner.spec.yaml_loader import load_yaml

DOCUMENT_KEYS = (
    "name",
    "about",
    "extends",
    *SETTING_ROOTS,
    "seeds",
    "sweep",
    "tables",
    "published",
    "profiles",
)
KEPT_WHEN_NAMED = ("sweep", "tables", "published", "seeds", "profiles")


def load_document(path: Path) -> Node:
    """Return the tree of a spec with everything it extends merged below it.

    Raises:
        SpecError: for unreadable or broken files, unknown keys, or specs that extend in a circle.
    """
    return _load(path, ())


def _load(path: Path, children: tuple[Path, ...]) -> Node:
    document = load_yaml(path)
    check_document(document)
    extends = document.get("extends")
    if extends is None:
        return _spelled(document)
    parent_name, kept = _extends(extends)
    parent_path = path.parent / parent_name
    seen = (*children, path.resolve())
    if parent_path.resolve() in seen:
        raise SpecError([Problem(extends.place, f"{parent_name} extends this spec in a circle")])
    if not parent_path.is_file():
        found = f"extends {parent_name}, but there is no file {parent_path}"
        raise SpecError([Problem(extends.place, found, "a path relative to this spec")])
    parent = _load(parent_path, seen)
    inherited = {
        key: child for key, child in parent.value.items() if key in SETTING_ROOTS or key in kept
    }
    own = {key: child for key, child in _spelled(document).value.items() if key != "extends"}
    return merge(Node(inherited, document.place), Node(own, document.place))


def _spelled(document: Node) -> Node:
    settings = {
        key: spell_out(key, child) if key in SETTING_ROOTS else child
        for key, child in document.value.items()
    }
    return Node(settings, document.place)


def _extends(node: Node) -> tuple[str, tuple[str, ...]]:
    if isinstance(node.value, str):
        return node.value, ()
    file, keep = node.get("file"), node.get("keep")
    allowed = "a file, or {file: base.yaml, keep: [" + ", ".join(KEPT_WHEN_NAMED) + "]}"
    if file is None or not isinstance(file.value, str) or set(node.value) - {"file", "keep"}:
        raise SpecError([Problem(node.place, f"extends is {node.describe()}", allowed)])
    kept: list[str] = []
    for item in keep.value if keep is not None and keep.is_sequence else ():
        if item.value not in KEPT_WHEN_NAMED:
            raise SpecError([Problem(item.place, f"keep names {item.describe()}", allowed)])
        kept.append(item.value)
    return file.value, tuple(kept)


def check_document(document: Node) -> None:
    """Check the top level of one file.

    Raises:
        SpecError: for unknown keys, or a file that is no mapping.
    """
    if not document.is_mapping:
        raise SpecError([Problem(document.place, f"a spec is {document.describe()}", "a mapping")])
    problems = []
    for key, child in document.value.items():
        if key not in DOCUMENT_KEYS:
            place = child.key_place or child.place
            suggestion = nearest(key, DOCUMENT_KEYS)
            allowed = ", ".join(DOCUMENT_KEYS)
            problems.append(Problem(place, f"unknown key '{key}' in the spec", allowed, suggestion))
        elif key in ("name", "about") and not isinstance(child.value, str):
            problems.append(Problem(child.place, f"{key} is {child.describe()}", "text"))
    if problems:
        raise SpecError(problems)
