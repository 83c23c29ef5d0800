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
from runner.core.text import printable, storable
from runner.spec.nodes import Node

MAX_NODES = 200_000
MAX_INT_LENGTH = 18
"""Digits of the longest whole number; databases hold 64 bits."""

CORE_TAG = "tag:yaml.org,2002:"
NO_TAGS = "plain values; tags are not read"

HINTS = {
    "mapping values are not allowed": "one 'key: value' a line; quotes around text that holds ': '",
    "expected <block end>": "entries of one list or mapping indented equally",
    "expected ',' or ']'": "a comma between values, and ] at the end of the list",
    "expected ',' or '}'": "a comma between entries, and } at the end of the mapping",
    "could not find expected ':'": "'key: value'",
    "unexpected end of stream": "a closing quote",
    "cannot start any token": "quotes around text that begins with such a character",
    "expected a single document": "one document in a file",
}
"""What to do about PyYAML's commonest complaints, by words in them."""

JARGON = {
    "expected <block end>, but found": "expected its next entry or its end, but found",
    "'<block mapping start>'": "a mapping indented otherwise",
    "'<block sequence start>'": "a list indented otherwise",
    "'<scalar>'": "a value",
    "'<stream end>'": "the end of the file",
    "'?'": "a key",
}

NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _Loader(yaml.SafeLoader):
    """Composes nodes; the implicit resolvers are those of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern in (("null", NULL), ("bool", BOOL), ("int", INT), ("float", FLOAT)):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def load_yaml(path: Path) -> Node:
    """Return the tree of the one document in the file.

    Raises:
        SpecError: when the file cannot be read or is not valid YAML, with its place.
    """
    if storable(str(path)) != str(path):
        found = f"the path {printable(str(path))} is not UTF-8, and could not be recorded"
        raise SpecError([Problem(None, found, "another name")])
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
    try:
        root = _compose(text)
        if root is None:
            raise SpecError([Problem(Place(file, 1, 1), "the file is empty", "a mapping")])
        return _Converter(file).convert(root, ())
    except yaml.MarkedYAMLError as error:
        raise SpecError([_broken(error, text, file)]) from None
    except yaml.reader.ReaderError as error:
        raise SpecError([_unreadable(error, text, file)]) from None
    except RecursionError:
        raise SpecError([Problem(Place(file, 1, 1), "lists or mappings nest too deeply")]) from None


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _unreadable(error: yaml.reader.ReaderError, text: str, file: str) -> Problem:
    before = text[: error.position]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = f"the control character {text[error.position]!r}, which YAML does not allow"
    return Problem(Place(file, line, column), found)


def _broken(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    place = Place(file, line + 1, column + 1)
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: column + 1]:
        return Problem(place, "a tab where YAML wants spaces", "indent with spaces")
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for words, hint in HINTS.items() if words in said), "")
    for jargon, words in JARGON.items():
        said = said.replace(jargon, words)
    opened = error.context_mark
    if opened is not None and opened.line != line:
        said += f"; it begins in line {opened.line + 1}"
    return Problem(place, f"broken YAML: {said}", hint)


class _Converter:
    """Turns PyYAML's composed nodes into ours."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def convert(self, node: yaml.Node, parents: tuple[int, ...]) -> Node:
        place = self._place(node)
        if not node.tag.startswith(CORE_TAG):
            raise SpecError([Problem(place, f"the tag {_shown(node.tag)}", NO_TAGS)])
        self._count += 1
        if id(node) in parents:
            raise SpecError([Problem(place, "an alias that contains itself")])
        if self._count > MAX_NODES:
            raise SpecError([Problem(place, f"more than {MAX_NODES} values (aliases counted)")])
        inside = (*parents, id(node))
        kind = node.tag.removeprefix(CORE_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return Node(self._mapping(node, inside), place)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return Node(tuple(self.convert(child, inside) for child in node.value), place)
        if isinstance(node, yaml.ScalarNode):
            _refuse_unstorable(node.value, place)
            return Node(_scalar(kind, node.value, place), place)
        raise SpecError([Problem(place, f"the tag {_shown(node.tag)}", NO_TAGS)])

    def _mapping(self, node: yaml.MappingNode, parents: tuple[int, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError([Problem(place, "a list or mapping as a key", "text")])
            key = key_node.value
            _refuse_unstorable(key, place)
            if key in children:
                first = children[key].key_place
                found = f"'{key}' stands here twice; first at {first}"
                raise SpecError([Problem(place, found, "each key once")])
            value = self.convert(value_node, parents)
            children[key] = Node(value.value, value.place, place)
        return children

    def _place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)


def _refuse_unstorable(text: str, place: Place) -> None:
    """Refuse what only an escape in quotes can write, and no database can hold."""
    if "\0" in text:
        raise SpecError([Problem(place, "the character '\\0'", "text without it")])
    if storable(text) != text:
        allowed = r"whole characters, as 😀 or \U0001F600"
        raise SpecError([Problem(place, f"half of a character, in {text!r}", allowed)])


def _scalar(kind: str, text: str, place: Place) -> Any:
    if kind == "str":
        return text
    if kind == "null" and NULL.match(text):
        return None
    if kind == "bool" and BOOL.match(text):
        return text.lower() == "true"
    if kind == "int" and INT.match(text):
        if len(text) > MAX_INT_LENGTH:
            raise SpecError([Problem(place, "a whole number too long to be stored")])
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float" and FLOAT.match(text):
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return number or 0.0  # -0.0 is equal to 0.0 and would be written otherwise in a key
    raise SpecError([Problem(place, f"{text!r} with the tag !!{kind}", NO_TAGS)])


def _shown(tag: str) -> str:
    return tag.replace(CORE_TAG, "!!")
