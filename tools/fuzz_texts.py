"""Changes to the text and the bytes of a spec, drawn from a generator, for `fuzz_specs.py`.

Owns what an input is made from. Knows YAML's signs, not what is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fuzz_trees import Seed, changed_tree, written
from fuzz_words import NUMBERS, strange_text

from runner.core.errors import SpecError
from runner.spec.nodes import plain
from runner.spec.yaml_loader import parse_yaml

TOKEN = re.compile(r"[ ]+|\n|[A-Za-z_][A-Za-z0-9_.]*|[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|.", re.DOTALL)
BYTES = [
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\r",
]


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
    return Seed(seed.folder, written(tree, Random(0)), tree)


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
        text = changed_tree(seed, seeds, random)
    else:
        for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
            text = random.choice(TEXT_CHANGES)(text, seeds, random)
    content = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.08:
        content = _changed_bytes(content, random)
    return seed.folder, content


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
