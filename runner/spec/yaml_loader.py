"""YAML text to nodes: YAML 1.2's scalars, no duplicate keys, every place kept.

Plain PyYAML reads ``1e-3`` as text, ``no`` as false and ``12:30`` as a number, and drops duplicate
keys in silence; this loader does none of that. Nothing is constructed but scalars, lists and
mappings.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from runner.core.errors import Place, Problem, SpecError
from runner.spec.nodes import Node

MAX_NODES = 200_000

NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _Loader(yaml.SafeLoader):
    """Composes nodes; the implicit resolvers are those of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern in (("null", NULL), ("bool", BOOL), ("int", INT), ("float", FLOAT)):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def load_yaml(path: Path) -> Node:
    """Return the tree of the one document in the file.

    Raises:
        SpecError: when the file cannot be read or is not valid YAML, with its place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError([Problem(None, f"no such file: {path}")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(None, f"cannot read {path}: {error}")]) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Node:
    """Return the tree of the one document in ``text``; ``file`` is how places name it.

    Raises:
        SpecError: for broken YAML, tabs, tags, duplicate keys, or an empty document.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise SpecError([_broken(error, text, file)]) from None
    except yaml.YAMLError as error:
        raise SpecError([Problem(Place(file, 1, 1), f"not YAML: {error}")]) from None
    finally:
        loader.dispose()
    if root is None:
        raise SpecError([Problem(Place(file, 1, 1), "the file is empty")])
    return _Converter(file).convert(root, ())


def _broken(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    place = Place(file, line + 1, column + 1)
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: column + 1]:
        return Problem(place, "a tab where YAML wants spaces", "indent with spaces")
    said = " ".join(part for part in (error.context, error.problem) if part)
    return Problem(place, f"broken YAML: {said}")


class _Converter:
    """Turns PyYAML's composed nodes into ours."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def convert(self, node: yaml.Node, parents: tuple[int, ...]) -> Node:
        place = self._place(node)
        self._count += 1
        if id(node) in parents:
            raise SpecError([Problem(place, "an alias that contains itself")])
        if self._count > MAX_NODES:
            raise SpecError([Problem(place, f"more than {MAX_NODES} values (aliases counted)")])
        inside = (*parents, id(node))
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, inside), place)
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.convert(child, inside) for child in node.value), place)
        return Node(self._scalar(node), place)

    def _mapping(self, node: yaml.MappingNode, parents: tuple[int, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError([Problem(place, "a list or mapping as a key", "text")])
            key = key_node.value
            if key in children:
                first = children[key].key_place
                raise SpecError([Problem(place, f"'{key}' stands here twice; first at {first}")])
            value = self.convert(value_node, parents)
            children[key] = Node(value.value, value.place, place)
        return children

    def _scalar(self, node: yaml.Node) -> Any:
        kind = node.tag.rpartition(":")[2]
        text: str = node.value
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if kind == "float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
        if kind == "str":
            return text
        raise SpecError(
            [Problem(self._place(node), f"the tag {node.tag}", "plain values; tags are not read")]
        )

    def _place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)
