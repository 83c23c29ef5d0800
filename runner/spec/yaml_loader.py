"""Parses YAML to nodes with positions: YAML 1.2's scalars, no duplicate keys.

Plain PyYAML reads ``1e-3`` as text, ``no`` as false and ``12:30`` as a number, and drops duplicate
keys in silence; this loader does none of that. Nothing is constructed but scalars, lists and
mappings.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from runner.core.errors import Problem, SourcePosition, SpecError
from runner.core.text import printable, storable
from runner.spec.nodes import Node
from runner.spec.yaml_problems import TooLarge, broken, end_of, unreadable

MAX_BYTES = 4_000_000
MAX_NODES = 200_000
MAX_DEPTH = 50
MAX_INT = 2**63 - 1
"""Databases hold 64 bits."""

MAX_INT_LENGTH = 100
"""Signs of a whole number that is looked at at all."""

CORE_TAG = "tag:yaml.org,2002:"
NO_TAGS = "plain values, without tags"

NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)

HALF = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")
"""A surrogate without the one that belongs to it."""


class _Loader(yaml.SafeLoader):
    """Composes nodes; the implicit resolvers are those of YAML 1.2's core schema.

    Stops at the limits of size and depth.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = self._depth = 0

    def fetch_more_tokens(self) -> None:
        try:
            super().fetch_more_tokens()
        except (ValueError, OverflowError):
            # chr() and int() of what is too large
            found = "an escape that is no character, or too long a number"
            raise yaml.scanner.ScannerError(None, None, found, self.get_mark()) from None

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._count += 1
        self._depth += 1
        if self._count > MAX_NODES:
            raise TooLarge(None, None, _too_many(), mark)
        if self._depth > MAX_DEPTH:
            raise TooLarge(None, None, _too_deep(), mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern in (("null", NULL), ("bool", BOOL), ("int", INT), ("float", FLOAT)):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def load_yaml(path: Path, named_at: SourcePosition | None = None) -> Node:
    """Return the tree of the one document in the file.

    Args:
        path: the file.
        named_at: position of its name in another spec.

    Raises:
        SpecError: when the file cannot be read or is not valid YAML.
    """
    if storable(str(path)) != str(path):
        found = f"the path {printable(str(path))} is not UTF-8, and could not be recorded"
        raise SpecError([Problem(None, found, hint="give it another name")])
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError([Problem(named_at, f"no such file: {path}")]) from None
    except (OSError, ValueError) as error:
        raise SpecError([Problem(named_at, f"cannot read {path}: {error}")]) from None
    if len(content) > MAX_BYTES:
        found = f"{path} has more than {MAX_BYTES} bytes, which is no spec"
        raise SpecError([Problem(SourcePosition(str(path), 1, 1), found)])
    return parse_yaml(_decoded(content, str(path)), str(path))


def _decoded(content: bytes, file: str) -> str:
    """Decode UTF-8; line ends become line feeds.

    Raises:
        SpecError: for bytes that are not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = _one_line_feed(error.object[: error.start].decode("utf-8"))
        found = f"the byte 0x{error.object[error.start]:02x}, which is not UTF-8"
        raise SpecError([Problem(end_of(before, file), found, "text in UTF-8")]) from None
    return _one_line_feed(text)


def _one_line_feed(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_yaml(text: str, file: str) -> Node:
    """Return the tree of the one document in ``text``; ``file`` is its name in positions.

    Raises:
        SpecError: for broken YAML, tabs, tags, duplicate keys, or an empty document.
    """
    try:
        root = _compose(text)
        if root is None:
            raise SpecError([Problem(SourcePosition(file, 1, 1), "the file is empty", "a mapping")])
        return _Converter(file).convert(root).node
    except yaml.MarkedYAMLError as error:
        raise SpecError([broken(error, text, file)]) from None
    except yaml.reader.ReaderError as error:
        raise SpecError([unreadable(error, text, file)]) from None
    except RecursionError:
        raise SpecError([Problem(SourcePosition(file, 1, 1), _too_deep())]) from None


def _too_many() -> str:
    return f"more than {MAX_NODES} values (aliases counted)"


def _too_deep() -> str:
    return f"lists or mappings nest more than {MAX_DEPTH} levels deep"


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Converted(NamedTuple):
    """A node, the number of values in it, and its depth."""

    node: Node
    size: int
    depth: int


class _Converter:
    """Converts PyYAML's nodes to ours, each once, however many aliases it has."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._done: dict[int, _Converted] = {}
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> _Converted:
        known = self._done.get(id(node))
        if known is not None:
            return known
        position = self._position(node)
        if not node.tag.startswith(CORE_TAG):
            raise SpecError([Problem(position, f"the tag {_shown(node.tag)}", NO_TAGS)])
        if id(node) in self._open:
            raise SpecError([Problem(position, "an alias that contains itself")])
        self._open.add(id(node))
        kind = node.tag.removeprefix(CORE_TAG)
        children: list[_Converted] = []
        value: Any
        if isinstance(node, yaml.MappingNode) and kind == "map":
            value = self._mapping(node, children)
        elif isinstance(node, yaml.SequenceNode) and kind == "seq":
            children += [self.convert(child) for child in node.value]
            value = tuple(child.node for child in children)
        elif isinstance(node, yaml.ScalarNode):
            value = _scalar(kind, node.value, position)
        else:
            raise SpecError([Problem(position, f"the tag {_shown(node.tag)}", NO_TAGS)])
        # an alias is counted as often as it stands there: whoever walks the tree meets it so often
        size = 1 + sum(child.size for child in children)
        depth = 1 + max((child.depth for child in children), default=0)
        if size > MAX_NODES:
            raise SpecError([Problem(position, _too_many())])
        if depth > MAX_DEPTH:
            raise SpecError([Problem(position, _too_deep())])
        self._open.discard(id(node))
        self._done[id(node)] = converted = _Converted(Node(value, position), size, depth)
        return converted

    def _mapping(self, node: yaml.MappingNode, inside: list[_Converted]) -> dict[str, Node]:
        """Return the children by key, and append them to ``inside``."""
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            position = self._position(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError([Problem(position, "a list or mapping as a key", "text")])
            key = _text(key_node.value, position)
            if key in children:
                first = children[key].key_position
                found = f"'{key}' stands here twice; first at {first}"
                raise SpecError([Problem(position, found, hint="write each key once")])
            converted = self.convert(value_node)
            inside.append(converted)
            children[key] = Node(converted.node.value, converted.node.position, position)
        return children

    def _position(self, node: yaml.Node) -> SourcePosition:
        mark = node.start_mark
        return SourcePosition(self._file, mark.line + 1, mark.column + 1)


def _text(text: str, position: SourcePosition) -> str:
    """Return text with escaped surrogate pairs joined, so that it can be stored.

    Raises:
        SpecError: for half of such a pair, and for NUL.
    """
    if "\0" in text:
        raise SpecError([Problem(position, "the character '\\0'", "text without it")])
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        half = HALF.search(text)
        assert half is not None
        found = f"the escape \\u{ord(half[0]):04x}, which is half of a character"
        allowed = "both halves, as \\ud83d\\ude00, or the character itself"
        raise SpecError([Problem(position, found, allowed)]) from None


def _scalar(kind: str, text: str, position: SourcePosition) -> Any:
    if kind == "str":
        return _text(text, position)
    if kind == "null" and NULL.match(text):
        return None
    if kind == "bool" and BOOL.match(text):
        return text.lower() == "true"
    if kind == "int" and INT.match(text):
        number = (
            0 if len(text) > MAX_INT_LENGTH else int(text, 0 if text[:2] in ("0o", "0x") else 10)
        )
        if len(text) > MAX_INT_LENGTH or abs(number) > MAX_INT:
            raise SpecError([Problem(position, "a whole number too long to be stored")])
        return number
    if kind == "float" and FLOAT.match(text):
        real = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return real or 0.0  # -0.0 is equal to 0.0 and would be written otherwise in a key
    raise SpecError([Problem(position, f"{text!r} with the tag !!{kind}", NO_TAGS)])


def _shown(tag: str) -> str:
    return tag.replace(CORE_TAG, "!!")
