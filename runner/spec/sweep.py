"""Sweeps: `grid` (product), `zip`, `rows`, and rows that hold sweeps of their own.

Owns the expansion of a sweep into combinations of settings. Knows setting names, not
what settings mean.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.core.keys import canonical_json
from runner.core.run import Published
from runner.spec.names import setting_path, short_name
from runner.spec.nodes import Node, identity
from runner.spec.sizes import MAX_LABELS, sweep_size
from runner.spec.unknown import unknown_setting

SWEEP_KEYS = ("rows", "zip", "grid")
ROW_KEYS = ("label", "labels", "published", *SWEEP_KEYS)
PUBLISHED_KEYS = ("value", "within")
WITH_TOLERANCE = "{value: 0.49, within: 0.03}"
LABEL = "label"
"""The label name that ``label: text`` gives."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination of a sweep.

    Attributes:
        overrides: value of each swept setting, by dotted path.
        labels: label texts by label name.
        published: published values by table column, each with its position in the file.
        source_position: where the combination is written.
    """

    overrides: Mapping[str, Node] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, Node] = field(default_factory=dict)
    source_position: SourcePosition | None = None


def expand_sweep(sweep: Node | None) -> list[Combination]:
    """Return the combinations of a sweep in the order of the spec; one empty one without a sweep.

    Raises:
        SpecError: for an empty sweep, unequal lengths in a zip, a setting given twice, or a
            combination that is written twice.
    """
    if sweep is None:
        return [Combination()]
    if not sweep.is_mapping or not sweep.value:
        raise _error(sweep, f"sweep is {sweep.describe()}", "a mapping with grid, zip or rows")
    for key, child in sweep.value.items():
        if key not in SWEEP_KEYS:
            position = child.key_position or child.position
            suggestion = nearest(key, SWEEP_KEYS)
            allowed = "grid, zip, rows (settings stand inside one of them)"
            raise SpecError(
                [Problem(position, f"unknown key '{key}' in sweep", allowed, suggestion=suggestion)]
            )
    sweep_size(sweep)
    combinations = list(_parts(sweep))
    _refuse_repeats(combinations)
    _refuse_many_labels(combinations)
    return combinations


def _parts(node: Node) -> Iterator[Combination]:
    """Yield the product of a mapping's rows, zip and grid."""
    rows, zipped, grid = (node.get(key) for key in SWEEP_KEYS)
    parts: list[list[Combination]] = []
    if rows is not None:
        parts.append(_rows(rows))
    if zipped is not None:
        parts.append(_zip(zipped))
    if grid is not None:
        parts.extend(_grid(grid))
    for combination in itertools.product(*parts):
        yield _joined(combination)


def _rows(rows: Node) -> list[Combination]:
    if not rows.is_sequence or not rows.value:
        raise _error(rows, f"rows is {rows.describe()}", "a list of mappings, one per row")
    return [combination for row in rows.value for combination in _row(row)]


def _row(row: Node) -> Iterator[Combination]:
    if not row.is_mapping:
        raise _error(row, f"a row is {row.describe()}", "a mapping of settings, as {lr: 0.1}")
    overrides: dict[str, Node] = {}
    for key, child in row.value.items():
        if key not in ROW_KEYS:
            _add(overrides, key, child)
    own = Combination(overrides, _labels(row), published_values(row.get("published")), row.position)
    for nested in _parts(row):
        yield _joined((own, nested))


def _labels(row: Node) -> dict[str, str]:
    labels: dict[str, str] = {}
    single, several = row.get("label"), row.get("labels")
    if single is not None:
        labels[LABEL] = label_text(single)
    if several is not None:
        if not several.is_mapping:
            raise _error(several, f"labels is {several.describe()}", "a mapping, as {NET: AlexNet}")
        for name, child in several.value.items():
            labels[name] = label_text(child)
    return labels


def label_text(node: Node) -> str:
    """Return a label as text; numbers as JSON writes them.

    Raises:
        SpecError: for what is no label.
    """
    infinite = isinstance(node.value, float) and not math.isfinite(node.value)
    if node.is_mapping or node.is_sequence or node.value is None or infinite:
        raise _error(node, f"a label is {node.describe()}", "text")
    return node.value if isinstance(node.value, str) else canonical_json(node.value)


def published_values(node: Node | None) -> dict[str, Node]:
    """Return the values of a ``published`` mapping, by column, each checked."""
    if node is None:
        return {}
    if not node.is_mapping:
        raise _error(node, f"published is {node.describe()}", "a mapping, as {TEST_ACC: 0.49}")
    for child in node.value.values():
        published_value(child)
    return dict(node.value)


def published_value(node: Node) -> Published:
    """Return one published value: a number, or a mapping with a tolerance.

    Raises:
        SpecError: for anything else, and for a tolerance that is negative.
    """
    if not node.is_mapping:
        return Published(_finite(node, "a published value", f"a number, or {WITH_TOLERANCE}"))
    for key, child in node.value.items():
        if key not in PUBLISHED_KEYS:
            position, suggestion = (
                child.key_position or child.position,
                nearest(key, PUBLISHED_KEYS),
            )
            found = f"unknown key '{key}' in a published value"
            raise SpecError([Problem(position, found, WITH_TOLERANCE, suggestion=suggestion)])
    value, within = (node.get(key) for key in PUBLISHED_KEYS)
    if value is None or within is None:
        lacking = "'value'" if value is None else "'within'"
        allowed = f"a number, or {WITH_TOLERANCE}"
        raise _error(node, f"a published value is a mapping without {lacking}", allowed)
    tolerance = _finite(within, "within", "a number from 0")
    if tolerance < 0:
        raise _error(within, f"within is {within.describe()}", "a number from 0")
    return Published(_finite(value, "a published value", "a number"), tolerance)


def _finite(node: Node, what: str, allowed: str) -> float:
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if not number or not math.isfinite(node.value):
        raise _error(node, f"{what} is {node.describe()}", allowed)
    return float(node.value)


def label_names(sweep: Node | None) -> list[str]:
    """Return the names of the labels that the rows of a sweep have, without expanding it."""
    if sweep is None:
        return []
    names: dict[str, None] = {}
    rows = sweep.get("rows")
    for row in rows.value if rows is not None and rows.is_sequence else ():
        if row.get("label") is not None:
            names[LABEL] = None
        labels = row.get("labels")
        names |= dict.fromkeys(labels.value if labels is not None and labels.is_mapping else ())
        names |= dict.fromkeys(label_names(row))
    return list(names)


def _zip(node: Node) -> list[Combination]:
    axes = _axes(node, "zip")
    lengths = {len(values) for _, values in axes}
    if len(lengths) > 1:
        described = ", ".join(f"{short_name(path)} has {len(values)}" for path, values in axes)
        raise _error(node, f"zip of unequal lengths: {described}", "lists of one length")
    return [
        Combination(
            dict(zip([path for path, _ in axes], row, strict=True)), source_position=row[0].position
        )
        for row in zip(*(values for _, values in axes), strict=True)
    ]


def _grid(node: Node) -> list[list[Combination]]:
    parts = []
    for path, values in _axes(node, "grid"):
        seen: dict[str, Node] = {}
        for value in values:
            text = identity(value)
            if text in seen:
                found = f"{text} stands twice in {short_name(path)}"
                raise SpecError([Problem(value.position, found, hint="write each value once")])
            seen[text] = value
        parts.append(
            [Combination({path: value}, source_position=value.position) for value in values]
        )
    return parts


def _axes(node: Node, kind: str) -> list[tuple[str, list[Node]]]:
    if not node.is_mapping or not node.value:
        raise _error(node, f"{kind} is {node.describe()}", "a mapping from settings to lists")
    axes: dict[str, Node] = {}
    for key, child in node.value.items():
        _add(axes, key, child)
    for key, child in node.value.items():
        if not child.is_sequence or not child.value:
            raise _error(child, f"{key} in {kind} is {child.describe()}", "a list of values")
    return [
        (path, [replace(value, key_position=child.key_position) for value in child.value])
        for path, child in axes.items()
    ]


def _add(overrides: dict[str, Node], name: str, node: Node) -> None:
    path = setting_path(name)
    if path is None:
        raise unknown_setting(name, node)
    dotted = ".".join(path)
    if dotted in overrides:
        raise _given_twice(node, dotted)
    overrides[dotted] = node


def _joined(parts: Iterable[Combination]) -> Combination:
    overrides: dict[str, Node] = {}
    labels: dict[str, str] = {}
    published: dict[str, Node] = {}
    source_position = None
    for part in parts:
        for path, node in part.overrides.items():
            if path in overrides:
                raise _given_twice(node, path, " in one combination")
            overrides[path] = node
        labels |= part.labels
        published |= part.published
        source_position = source_position or part.source_position
    return Combination(overrides, labels, published, source_position)


def _refuse_repeats(combinations: list[Combination]) -> None:
    seen: dict[frozenset[tuple[str, str, str]], Combination] = {}
    texts: dict[int, str] = {}  # a value stands in many combinations
    for combination in combinations:
        labels = [("label", name, text) for name, text in combination.labels.items()]
        swept = [
            ("setting", short_name(path), texts.get(id(node)) or _remembered(texts, node))
            for path, node in combination.overrides.items()
        ]
        written = frozenset(labels + swept)
        if written in seen:
            described = ", ".join(f"{name}: {text}" for _, name, text in labels + swept)
            found = f"{{{described}}} stands twice; first at {seen[written].source_position}"
            hint = "write each combination once"
            raise SpecError([Problem(combination.source_position, found, hint=hint)])
        seen[written] = combination


def _remembered(texts: dict[int, str], node: Node) -> str:
    texts[id(node)] = text = identity(node)
    return text


def _refuse_many_labels(combinations: list[Combination]) -> None:
    names: set[str] = set()
    for combination in combinations:
        names |= combination.labels.keys()
        if len(names) > MAX_LABELS:
            found = f"more than {MAX_LABELS} names of labels in one sweep"
            raise SpecError([Problem(combination.source_position, found, f"at most {MAX_LABELS}")])


def _given_twice(node: Node, path: str, where: str = "") -> SpecError:
    found = f"{path} is given twice{where}"
    return SpecError([Problem(node.position, found, hint="give each setting once")])


def _error(node: Node, found: str, allowed: str) -> SpecError:
    return SpecError([Problem(node.position, found, allowed)])
