"""Changes to the text and the tree of specs, drawn from a generator: what `fuzz_specs.py` tries.

Owns the ways in which a spec is made strange. Knows YAML's signs and the words of the language, not
what is right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from runner.components.data import Data
from runner.components.models import Model
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule
from runner.core.errors import SpecError
from runner.core.reading import METRIC_NAMES
from runner.spec.compose import DOCUMENT_KEYS
from runner.spec.names import SHORT_NAMES
from runner.spec.nodes import plain
from runner.spec.options import model_options, tags_of
from runner.spec.yaml_loader import parse_yaml

TOKEN = re.compile(r"[ ]+|\n|[A-Za-z_][A-Za-z0-9_.]*|[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|.", re.DOTALL)
ROOTS = (Data, Model, Optimizer, Schedule)
TAGS = [tag for root in ROOTS for option in model_options(root) for tag in tags_of(option)]
WORDS = [
    *sorted({*DOCUMENT_KEYS, *SHORT_NAMES, *SHORT_NAMES.values(), *METRIC_NAMES, *TAGS}),
    *("grid", "zip", "rows", "label", "labels", "published", "where", "values", "columns"),
    *("pivot", "titles", "order", "metric", "at", "mark", "digits", "setting", "file", "keep"),
    *("one_of", "choices", "steps", "RandomCrop", "Resize", "GaussianBlur", "ColorJitter", "head"),
    *("cut", "freeze", "sha256", "missing", "include", "per_class", "cells", "none", "last", "min"),
]

NUMBERS = [
    *("0", "-0.0", "1", "-1", "2", "0.5", "1.0", "1e3", "1e-320", "1e308", "1e309", "-1e308"),
    *("9223372036854775807", "9223372036854775808", "999999999999999999", "1000000000000000000"),
    *("100000", "1000000", "100000000", "10000000000", "1000000000000000", "0x7fffffffffffffff"),
    *("0o777777777777777777", ".inf", "-.inf", ".nan", "1_000", "0.1e", "0b1", "1.", ".5", "1e999"),
    *("2147483647", "2147483648", "4294967296", "65536", "16384", "-999999999999999999"),
]
SCALARS = [
    *('""', "''", "null", "~", "true", "no", "12:30", "2026-01-01", "=", "<<", "@a", "`a`"),
    *(r'"\ud800"', r'"\udfff"', r'"\U00110000"', r'"\UFFFFFFFF"', r'"\0"', r'"a\0b"', r'"\x1b[2J"'),
    *(r'"\n\t\r"', r'"\u2028"', r'"\xZZ"', r'"\u12"', r'"\q"', r'"\ud83d\ude00"', '"\u202e"'),
    *("~nobody/x.yaml", "~/x.yaml", "/dev/null", "/", ".", "..", "../..", "/proc/self/mem"),
    *("ünïcödé", "名前", "😀", "\ufeffx", "\x85", "\u2028", "\u00a0", "İ", "ǅ", "ﬁ"),
    *("!!int x", "!!float 1", "!!str 5", "!!null x", "!!bool 7", "!!binary aGk=", "!!set {a, b}"),
    *(
        "!!python/object/apply:os.system [id]",
        "!custom {}",
        "!!timestamp 1",
        "!!map []",
        "!!seq {}",
    ),
    *("!!omap [a: 1]", "!<tag:yaml.org,2002:int> 5", "! 5", "&a 1", "*a", "&a *a", "*nothing"),
    *(
        "{}",
        "[]",
        "[[]]",
        "{{}}",
        "{[]: 1}",
        "? a",
        "- - -",
        "|",
        ">",
        "|9\n a",
        ">-\n\n\n",
        "'",
        '"',
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "-",
        "---",
        "...",
        "%YAML 1.2",
        "#",
        "\t",
        "-ACC",
        "a - b",
    ),
    *(
        "train_loss - val_loss",
        "1/0*val_loss",
        "((val_loss))",
        "-val_loss",
        "val_loss**2",
        "{a: b: c}",
    ),
]
LENGTHS = (*(1, 2, 3, 5, 10) * 8, 100, 100, 2000)
DEPTHS = (3, 10, 50, 200, 900, 3000)
BYTES = [
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\r",
]


@dataclass(frozen=True)
class Raw:
    """Text that stands in a tree as it is written."""

    text: str


@dataclass(frozen=True)
class Marked:
    """A value with an anchor."""

    name: str
    value: Any


@dataclass(frozen=True)
class Seed:
    """A spec to begin with: the folder it lies in, its text, and its tree where it has one."""

    folder: str
    text: str
    tree: Any


def read_seed(path: Path, folder: str) -> Seed:
    """Return a spec to begin with."""
    text = path.read_text(encoding="utf-8")
    try:
        return Seed(folder, text, _listed(plain(parse_yaml(text, path.name))))
    except SpecError:
        return Seed(folder, text, None)


def trimmed(seed: Seed) -> Seed:
    """Return a spec with less of what it has much of; whether it is still right is not known."""

    def cut(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            kept = list(value.items())[:4] if key in ("tables", "columns") else value.items()
            return {name: cut(child, name) for name, child in kept if name != "about"}
        return [cut(item, "") for item in value[:2]] if isinstance(value, list) else value

    if not isinstance(seed.tree, dict):
        return seed
    tree = cut(seed.tree, "")
    return Seed(seed.folder, _written(tree, Random(0)), tree)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(child) for key, child in value.items()}
    return [_listed(child) for child in value] if isinstance(value, tuple) else value


def mutated(seeds: list[Seed], random: Random) -> tuple[str, bytes]:
    """Return the folder and the bytes of a changed spec; one in fifty is as it was."""
    seed = random.choice(seeds)
    if random.random() < 0.02:
        return seed.folder, seed.text.encode()
    text = seed.text
    if seed.tree is not None and random.random() < 0.7:
        text = _changed_tree(seed, seeds, random)
    else:
        for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
            text = random.choice(TEXT_CHANGES)(text, seeds, random)
    content = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.08:
        content = _changed_bytes(content, random)
    return seed.folder, content


# -- text --


def _token_changed(text: str, seeds: list[Seed], random: Random) -> str:
    tokens = TOKEN.findall(text) or [""]
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(tokens))
        what = random.randrange(6)
        if what == 0:
            tokens[at] = ""
        elif what == 1:
            tokens.insert(at, tokens[random.randrange(len(tokens))])
        elif what == 2:
            other = random.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif what == 3:
            numbers = [i for i, token in enumerate(tokens) if token[:1].isdigit()]
            tokens[random.choice(numbers) if numbers else at] = random.choice(NUMBERS)
        else:
            tokens[at] = strange_text(random)
    return "".join(tokens)


def _lines_changed(text: str, seeds: list[Seed], random: Random) -> str:
    lines = text.split("\n")
    others = random.choice(seeds).text.split("\n")
    start, size = random.randrange(len(lines)), random.choice((1, 1, 2, 5))
    block = lines[start : start + size]
    what = random.randrange(5)
    if what == 0:
        del lines[start : start + size]
    elif what == 1:
        lines[start:start] = block * random.choice((1, 1, 1, 2, 2, 20))
    elif what == 2:
        at = random.randrange(len(others))
        lines[start:start] = others[at : at + size]
    elif what == 3:
        shift = random.choice((" ", "  ", "    ", "\t", "- "))
        lines[start : start + size] = [shift + line for line in block]
    else:
        lines[start : start + size] = [line[random.choice((1, 2)) :] for line in block]
    return "\n".join(lines)


def _spliced(text: str, seeds: list[Seed], random: Random) -> str:
    other = random.choice(seeds).text
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


def _characters_changed(text: str, seeds: list[Seed], random: Random) -> str:
    at, size = random.randrange(len(text) + 1), random.choice((0, 1, 1, 3, 20))
    return text[:at] + strange_text(random) + text[at + size :]


TEXT_CHANGES: list[Callable[[str, list[Seed], Random], str]] = [
    _token_changed,
    _token_changed,
    _token_changed,
    _lines_changed,
    _lines_changed,
    _spliced,
    _characters_changed,
]


def _changed_bytes(content: bytes, random: Random) -> bytes:
    at, size = random.randrange(len(content) + 1), random.choice((0, 1, 4))
    new = random.choice((*BYTES, bytes([random.randrange(256)]), b""))
    return content[:at] + new + content[at + size :]


def strange_text(random: Random) -> str:
    """Return text that hardly anybody would write in a spec, or a word of the language."""
    what = random.random()
    if what < 0.3:
        return random.choice(WORDS)
    if what < 0.55:
        return random.choice(NUMBERS)
    if what < 0.9:
        return random.choice(SCALARS)
    if what < 0.93:
        return "x" * random.choice((300, 5000))
    if what < 0.95:
        return str(random.getrandbits(random.choice((8, 31, 53, 64, 4000))))
    if what < 0.97:
        return "".join(chr(random.randrange(0x20, 0x3000)) for _ in range(random.choice((1, 5))))
    opening, closing = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("{name: ", "}")))
    depth = random.choice(DEPTHS)
    return opening * depth + closing * random.choice((depth, depth, 0))


# -- trees --


def _changed_tree(seed: Seed, seeds: list[Seed], random: Random) -> str:
    tree = _copied(seed.tree)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        places = _places(tree)
        if places:
            holder, key = random.choice(places)
            random.choice(TREE_CHANGES)(holder, key, places, seeds, random)
    return _written(tree, random)


def _copied(value: Any) -> Any:
    if isinstance(value, Marked):
        return Marked(value.name, _copied(value.value))
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


Place = tuple[Any, Any]
"""A mapping or list, and the key or number of a value in it."""


def _places(value: Any) -> list[Place]:
    found: list[Place] = []
    open_values = [value]
    while open_values:
        inside = open_values.pop()
        while isinstance(inside, Marked):
            inside = inside.value
        if not isinstance(inside, dict | list):
            continue
        for key in inside if isinstance(inside, dict) else range(len(inside)):
            found.append((inside, key))
            if isinstance(inside[key], dict | list | Marked):
                open_values.append(inside[key])
    return found


def strange_value(random: Random) -> Any:
    """Return a value that hardly anybody would write at a setting."""
    what = random.random()
    if what < 0.75:
        return Raw(strange_text(random))
    items = [Raw(strange_text(random)) for _ in range(random.choice((0, 1, 2, 3)))]
    if what < 0.88:
        return items
    return {random.choice(WORDS): item for item in items}


def _replace(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    holder[key] = strange_value(random)


def _number(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    numbers = [(h, k) for h, k in places if isinstance(h[k], int | float)] or [(holder, key)]
    holder, key = random.choice(numbers)
    holder[key] = Raw(random.choice(NUMBERS))


def _nudge(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    """Change a number to another that may well be right."""
    numbers = [(h, k) for h, k in places if isinstance(h[k], int | float)]
    if numbers:
        holder, key = random.choice(numbers)
        value = holder[key]
        holder[key] = random.choice((value + 1, value * 2, value / 2, value - 1, 1, 0, 0.5, -value))


def _same_key(
    holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random
) -> None:
    """Take the value that another spec has at a key of the same name."""
    tree = random.choice(seeds).tree
    others = _places(tree) if tree is not None else []
    values = {name: other for other, name in others if isinstance(name, str)}
    common = [(h, k) for h, k in places if isinstance(k, str) and k in values]
    if common:
        holder, key = random.choice(common)
        holder[key] = _copied(values[key][key])


def _remove(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    del holder[key]


def _add(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice(WORDS)] = strange_value(random)
    else:
        holder.insert(key, strange_value(random))


def _rename(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    if isinstance(holder, dict):
        name = strange_text(random) if random.random() < 0.3 else random.choice(WORDS)
        holder[name] = holder.pop(key)


def _graft(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    donor = random.choice(seeds).tree
    found = _places(donor) if donor is not None else []
    if found:
        other, name = random.choice(found)
        holder[key] = _copied(other[name])
        if isinstance(holder, dict) and isinstance(name, str) and random.random() < 0.5:
            holder[name] = holder.pop(key)


def _swap(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    other, name = random.choice(places)
    holder[key], other[name] = _copied(other[name]), _copied(holder[key])


def _wrap(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    value = holder[key]
    wrappers: list[Any] = [
        [value],
        {random.choice(WORDS): value},
        [value, value],
        {"rows": [value]},
    ]
    holder[key] = random.choice(wrappers)


def _lengthen(
    holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random
) -> None:
    lists = [(h, k) for h, k in places if isinstance(h[k], list) and h[k]]
    if lists:
        holder, key = random.choice(lists)
        count = random.choice(LENGTHS)
        first = holder[key][0]
        more = range(count) if isinstance(first, int | float) else [first] * min(count, 50)
        holder[key] = [*holder[key], *more]


def _alias(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    name = random.choice("abc")
    other, other_key = random.choice(places)
    if not isinstance(other[other_key], Marked | Raw):
        other[other_key] = Marked(name, other[other_key])
    holder[key] = Raw(f"*{name}")


def _laugh(holder: Any, key: Any, places: list[Place], seeds: list[Seed], random: Random) -> None:
    """Each level of a list, a grid or rows holds the one before it several times."""
    if random.random() < 0.7:
        return
    levels, width = random.choice((2, 4, 10, 20)), random.choice((2, 3, 10))
    made: Any = holder[key]
    for level in range(levels):
        items = [Marked(f"l{level}", made), *[Raw(f"*l{level}")] * (width - 1)]
        made = {"rows": items} if random.random() < 0.5 else items
    holder[key] = made


TREE_CHANGES = [
    *(_replace, _replace, _replace, _number, _number, _remove, _remove, _add, _add, _rename),
    *(_nudge, _nudge, _nudge, _nudge, _nudge, _same_key, _same_key, _same_key, _same_key),
    *(_graft, _graft, _graft, _swap, _swap, _wrap, _lengthen, _lengthen, _alias, _laugh),
]


def _written(tree: Any, random: Random) -> str:
    """Return a tree as YAML: blocks above, flow style below a depth that is drawn."""
    flow_below = random.choice((0, 1, 2, 3, 9))
    lines: list[str] = []
    if isinstance(tree, dict) and flow_below:
        _block(tree, "", flow_below, lines)
        return "\n".join(lines) + "\n"
    return _flow(tree) + "\n"


def _block(mapping: dict[str, Any], indent: str, flow_below: int, lines: list[str]) -> None:
    for key, value in mapping.items():
        if isinstance(value, dict) and value and flow_below > 1:
            lines.append(f"{indent}{_key(key)}:")
            _block(value, indent + "  ", flow_below - 1, lines)
        elif isinstance(value, list) and value and flow_below > 1:
            lines.append(f"{indent}{_key(key)}:")
            lines += [f"{indent}  - {_flow(item)}" for item in value]
        else:
            lines.append(f"{indent}{_key(key)}: {_flow(value)}")


def _key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Marked):
        return f"&{value.name} {_flow(value.value)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
