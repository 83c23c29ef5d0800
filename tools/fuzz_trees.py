"""Changes to the tree of a spec, drawn from a generator, and the tree as text, for `fuzz_specs.py`.

Owns how a tree is made strange; what is right it does not know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzz_words import NUMBERS, WORDS, strange_text

LENGTHS = (*(1, 2, 3, 5, 10) * 8, 100, 100, 2000)


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


def changed_tree(seed: Seed, seeds: list[Seed], random: Random) -> str:
    tree = _copied(seed.tree)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        slots = _slots(tree)
        if slots:
            holder, key = random.choice(slots)
            random.choice(TREE_CHANGES)(holder, key, slots, seeds, random)
    return written(tree, random)


def _copied(value: Any) -> Any:
    if isinstance(value, Marked):
        return Marked(value.name, _copied(value.value))
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


Slot = tuple[Any, Any]
"""A mapping or list, and the key or number of a value in it."""


def _slots(value: Any) -> list[Slot]:
    found: list[Slot] = []
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


def _replace(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    holder[key] = strange_value(random)


def _number(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    numbers = [(h, k) for h, k in slots if isinstance(h[k], int | float)] or [(holder, key)]
    holder, key = random.choice(numbers)
    holder[key] = Raw(random.choice(NUMBERS))


def _nudge(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    """Change a number to another that may well be right."""
    numbers = [(h, k) for h, k in slots if isinstance(h[k], int | float)]
    if numbers:
        holder, key = random.choice(numbers)
        value = holder[key]
        holder[key] = random.choice((value + 1, value * 2, value / 2, value - 1, 1, 0, 0.5, -value))


def _same_key(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    """Take the value that another spec has at a key of the same name."""
    tree = random.choice(seeds).tree
    others = _slots(tree) if tree is not None else []
    values = {name: other for other, name in others if isinstance(name, str)}
    common = [(h, k) for h, k in slots if isinstance(k, str) and k in values]
    if common:
        holder, key = random.choice(common)
        holder[key] = _copied(values[key][key])


def _remove(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    del holder[key]


def _add(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice(WORDS)] = strange_value(random)
    else:
        holder.insert(key, strange_value(random))


def _rename(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    if isinstance(holder, dict):
        name = strange_text(random) if random.random() < 0.3 else random.choice(WORDS)
        holder[name] = holder.pop(key)


def _graft(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    donor = random.choice(seeds).tree
    found = _slots(donor) if donor is not None else []
    if found:
        other, name = random.choice(found)
        holder[key] = _copied(other[name])
        if isinstance(holder, dict) and isinstance(name, str) and random.random() < 0.5:
            holder[name] = holder.pop(key)


def _swap(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    other, name = random.choice(slots)
    holder[key], other[name] = _copied(other[name]), _copied(holder[key])


def _wrap(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    value = holder[key]
    wrappers: list[Any] = [
        [value],
        {random.choice(WORDS): value},
        [value, value],
        {"rows": [value]},
    ]
    holder[key] = random.choice(wrappers)


def _lengthen(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    lists = [(h, k) for h, k in slots if isinstance(h[k], list) and h[k]]
    if lists:
        holder, key = random.choice(lists)
        count = random.choice(LENGTHS)
        first = holder[key][0]
        more = range(count) if isinstance(first, int | float) else [first] * min(count, 50)
        holder[key] = [*holder[key], *more]


def _alias(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
    name = random.choice("abc")
    other, other_key = random.choice(slots)
    if not isinstance(other[other_key], Marked | Raw):
        other[other_key] = Marked(name, other[other_key])
    holder[key] = Raw(f"*{name}")


def _laugh(holder: Any, key: Any, slots: list[Slot], seeds: list[Seed], random: Random) -> None:
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


def written(tree: Any, random: Random) -> str:
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
