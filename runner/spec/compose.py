"""One document from a spec and what it extends.

Owns `extends`: settings are inherited; `sweep`, `metrics`, `analyses`, `tables`, `figures` and
`published` only when named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.core.errors import Problem, SourcePosition, SpecError, nearest, refuse
from runner.spec.analyses import spell_out_analyses
from runner.spec.figures.declared import SECTION as FIGURES
from runner.spec.metrics import SECTION as METRICS
from runner.spec.names import SETTING_ROOTS, as_mapping, setting_path, spell_out
from runner.spec.nodes import Node, merge
from runner.spec.written import written_problems
from runner.spec.yaml_loader import load_yaml

DOCUMENT_KEYS = (
    "name",
    "about",
    "extends",
    *SETTING_ROOTS,
    "seeds",
    "folds",
    "sweep",
    "metrics",
    "analyses",
    "tables",
    "figures",
    "published",
    "profiles",
)
KEPT_WHEN_NAMED = (
    *("sweep", "metrics", "analyses", "tables", "figures", "published"),
    *("seeds", "folds", "profiles"),
)
MAX_EXTENDED = 20
"""Specs that one spec extends, one after the other."""

BASE = "a path relative to this spec"
SEED_KEYS = ("seed", "seeds")
"""Either of them replaces whichever is inherited."""


def load_document(path: Path) -> Node:
    """Return the tree of a spec, merged over everything it extends.

    Raises:
        SpecError: for unreadable or broken files, unknown keys, or circular `extends`.
    """
    return _load(path, (), None)


def _load(path: Path, children: tuple[Path, ...], named_at: SourcePosition | None) -> Node:
    document = load_yaml(path, named_at)
    check_document(document)
    extends = document.get("extends")
    if extends is None:
        return _spelled(document)
    parent_name, kept = _extends(extends)
    seen = (*children, path.resolve())
    parent_path = _parent_path(path, parent_name, extends, seen)
    parent = _load(parent_path, seen, extends.position)
    _check_written(parent)
    own = {key: child for key, child in _spelled(document).value.items() if key != "extends"}
    replaced = SEED_KEYS if any(key in own for key in SEED_KEYS) else ()
    inherited = {
        key: child
        for key, child in parent.value.items()
        if (key in SETTING_ROOTS or key in kept) and key not in replaced
    }
    return merge(Node(inherited, document.position), Node(own, document.position))


def _check_written(parent: Node) -> None:
    """Check the settings of an extended spec, also those that are replaced.

    Raises:
        SpecError: with every problem of single settings.
    """
    own = {key: child for key, child in parent.value.items() if key in SETTING_ROOTS}
    refuse(written_problems(Node(own, parent.position), ()))


def _parent_path(path: Path, name: str, extends: Node, seen: tuple[Path, ...]) -> Path:
    """Return the file that the spec at ``path`` extends.

    Args:
        path: of the spec.
        name: the value of `extends`.
        extends: its node, for positions.
        seen: resolved paths of the spec and of those that extend it.

    Raises:
        SpecError: when there is no such file, or it is one of ``seen``.
    """
    parent_path = path.parent / name
    try:
        resolved, is_there = parent_path.resolve(), parent_path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        # a name that is too long or holds a NUL, links that lead to each other
        found = f"extends a file that cannot be: {getattr(error, 'strerror', None) or error}"
        raise SpecError([Problem(extends.position, found, BASE)]) from None
    if resolved in seen:
        raise SpecError([Problem(extends.position, f"{name} extends this spec in a circle")])
    if len(seen) > MAX_EXTENDED:
        found = f"more than {MAX_EXTENDED} specs extend each other"
        raise SpecError([Problem(extends.position, found)])
    if not is_there:
        found = f"extends {name}, but there is no file {parent_path}"
        beside = {other.stem: other.name for other in sorted(parent_path.parent.glob("*.y*ml"))}
        like = beside.get(nearest(parent_path.stem, list(beside))) if Path(name).name else None
        suggestion = Path(name).with_name(like).as_posix() if like else ""
        raise SpecError([Problem(extends.position, found, BASE, suggestion=suggestion)])
    return parent_path


def _spelled(document: Node) -> Node:
    settings = {
        key: spell_out(key, child) if key in SETTING_ROOTS else child
        for key, child in document.value.items()
    }
    if "analyses" in settings:
        settings["analyses"] = spell_out_analyses(settings["analyses"])
    if "metrics" in settings:
        settings["metrics"] = METRICS.spelled_out(settings["metrics"])
    if "figures" in settings:
        settings["figures"] = FIGURES.spelled_out(settings["figures"])
    return Node(settings, document.position)


def _extends(node: Node) -> tuple[str, tuple[str, ...]]:
    if isinstance(node.value, str):
        return node.value, ()
    file, keep = node.get("file"), node.get("keep")
    allowed = "a file, or {file: base.yaml, keep: [" + ", ".join(KEPT_WHEN_NAMED) + "]}"
    if not node.is_mapping:
        raise SpecError([Problem(node.position, f"extends is {node.describe()}", allowed)])
    for key, child in node.value.items():
        if key not in ("file", "keep"):
            position = child.key_position or child.position
            raise SpecError([Problem(position, f"unknown key '{key}' in extends", allowed)])
    if file is None or not isinstance(file.value, str):
        found = "extends lacks 'file'" if file is None else f"file is {file.describe()}"
        raise SpecError([Problem((file or node).position, found, allowed)])
    if keep is not None and not keep.is_sequence:
        raise SpecError([Problem(keep.position, f"keep is {keep.describe()}", allowed)])
    kept: list[str] = []
    for item in keep.value if keep is not None else ():
        if item.value not in KEPT_WHEN_NAMED:
            suggestion = nearest(item.text, KEPT_WHEN_NAMED)
            found = f"keep names {item.describe()}"
            raise SpecError(
                [Problem(item.position, found, ", ".join(KEPT_WHEN_NAMED), suggestion=suggestion)]
            )
        kept.append(item.value)
    return file.value, tuple(kept)


def check_document(document: Node) -> None:
    """Check the top level of one file.

    Raises:
        SpecError: for unknown keys, or a file that is no mapping.
    """
    if not document.is_mapping:
        raise SpecError(
            [Problem(document.position, f"a spec is {document.describe()}", "a mapping")]
        )
    refuse(_problems_of(document))


def _problems_of(document: Node) -> Iterator[Problem]:
    for key, child in document.value.items():
        if key not in DOCUMENT_KEYS:
            position = child.key_position or child.position
            path = setting_path(key)
            suggestion = as_mapping(path) if path else nearest(key, DOCUMENT_KEYS)
            allowed = ", ".join(DOCUMENT_KEYS)
            yield Problem(
                position, f"unknown key '{key}' in the spec", allowed, suggestion=suggestion
            )
        elif key in ("name", "about") and not isinstance(child.value, str):
            yield Problem(child.position, f"{key} is {child.describe()}", "text")
