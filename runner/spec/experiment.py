"""A spec file as an experiment: its cells, resolved settings and tables.

The one entrance to this package: everything about a spec is checked here, before any work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.components.component import canonical_settings
from runner.core.errors import MAX_PROBLEMS, Problem, SpecError, refuse
from runner.core.types import Cell
from runner.spec.compose import load_document
from runner.spec.matching import cell_matches
from runner.spec.names import (
    SETTING_ROOTS,
    setting_path,
    short_name,
    spell_out,
    unknown_setting,
)
from runner.spec.nodes import Node, find, plain, put, to_node
from runner.spec.resolve import layered, resolve, settings_key
from runner.spec.settings import Settings
from runner.spec.sizes import check_cells, check_phases, check_published
from runner.spec.sweep import Combination, expand_sweep, published_values
from runner.spec.table_checks import default_tables, published_problems, table_problems
from runner.spec.tables import Table, parse_tables
from runner.spec.variants import Variant, check_profiles, make_variant, refuse_infinite

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
ONE = "one of them"
MAX_FAILED = 2000
"""Wrong combinations after which no others are looked at."""

SEEDS = "a list of different whole numbers, as [0, 1, 2]; for one seed write seed: 0"


@dataclass(frozen=True)
class ResolvedCell:
    """A cell with what made it.

    Attributes:
        cell: the cell.
        settings: its settings, validated.
        tree: the same before validation, with places.
    """

    cell: Cell
    settings: Settings
    tree: Node


@dataclass(frozen=True)
class Experiment:
    """One spec, validated and expanded.

    Attributes:
        document: the spec with what it extends, as plain values, for the record.
        source: the text of the file as written.
        cells: in the order of the spec, seeds innermost.
    """

    name: str
    about: str
    path: Path
    source: str
    document: Mapping[str, Any]
    variant: str
    cells: tuple[ResolvedCell, ...]
    tables: tuple[Table, ...]


def load_experiment(path: Path, profile: str | None = None, sets: Sequence[str] = ()) -> Experiment:
    """Return the experiment in a spec file.

    Args:
        path: the file.
        profile: name of one of its profiles.
        sets: ``setting=value`` options.

    Raises:
        SpecError: with all problems of the first stage of checking that finds any.
    """
    return build_experiment(load_document(path), path, profile, sets)


def build_experiment(
    document: Node, path: Path, profile: str | None = None, sets: Sequence[str] = ()
) -> Experiment:
    """Return the experiment that a document tree describes; see :func:`load_experiment`."""
    name, about = _name(document, path), document.get("about")
    check_profiles(document.get("profiles"))
    variant = make_variant(document.get("profiles"), profile, sets)
    combinations = expand_sweep(document.get("sweep"))
    seeds = _seeds(document, variant)
    num_kept = len(variant.kept_of(len(combinations)))
    seeds_node = variant.seeds or document.get("seeds")
    check_cells(num_kept, len(seeds), _own_settings(document), seeds_node)
    cells = _cells(name, document, combinations, seeds, variant)
    refuse_infinite(document)
    trainings = (item.settings.train for item in cells)
    phases = sum(each.schedule.num_phases(each.epochs) for each in trainings)
    check_phases(phases, len(cells), document)
    labels = _label_names(combinations)
    plain_cells = [item.cell for item in cells]
    tables_node = document.get("tables")
    if tables_node is None:
        tables_node = to_node(default_tables(name, plain_cells, cells[0].settings))
    tables = parse_tables(tables_node, labels)
    cells = _with_where(cells, labels, document.get("published"), variant)
    distinct = {item.cell.settings_key: item.settings for item in cells}
    if not variant.name:
        refuse(table_problems(tables, plain_cells, distinct.values()))
        refuse(published_problems(tables, _published(combinations, document.get("published"))))
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = about.value.strip() if about is not None else ""
    record = {**plain(document), "tables": plain(tables_node)}
    return Experiment(name, text, path, source, record, variant.name, tuple(cells), tables)


def recorded_tables(document: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return the tables of a recorded document, without resolving its cells."""
    tree = to_node(document)
    return parse_tables(tree.get("tables"), _label_names(expand_sweep(tree.get("sweep"))))


def _label_names(combinations: Sequence[Combination]) -> list[str]:
    return list(dict.fromkeys(label for item in combinations for label in item.labels))


def _name(document: Node, path: Path) -> str:
    node = document.get("name")
    if node is None:
        raise SpecError([Problem(document.place, "the spec lacks 'name'", "name: my_experiment")])
    name: str = node.value
    if not NAME.fullmatch(name):
        allowed = "letters, digits, _ . and -, beginning with a letter or digit"
        suggestion = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-")
        raise SpecError([Problem(node.place, f"the name is '{name}'", allowed, suggestion)])
    return name


def _seeds(document: Node, variant: Variant) -> list[Node | None]:
    node = variant.seeds or document.get("seeds")
    if node is None or any("seed" in layer for layer in variant.layers):
        return [None]
    if document.get("seed") is not None and node is document.get("seeds"):
        raise SpecError([Problem(node.key_place, "both seed and seeds are given", ONE)])
    if not node.is_sequence or not node.value:
        raise SpecError([Problem(node.place, f"seeds is {node.describe()}", SEEDS)])
    seen: set[int] = set()
    for item in node.value:
        if type(item.value) is not int:
            raise SpecError([Problem(item.place, f"a seed is {item.describe()}", SEEDS)])
        if item.value in seen:
            raise SpecError([Problem(item.place, f"the seed {item.value} stands twice", SEEDS)])
        seen.add(item.value)
    return list(node.value)


def _cells(
    name: str,
    document: Node,
    combinations: Sequence[Combination],
    seeds: Sequence[Node | None],
    variant: Variant,
) -> list[ResolvedCell]:
    base = spell_out("", _own_settings(document))
    cells: list[ResolvedCell] = []
    problems: dict[Problem, None] = {}
    failed = 0
    for position in variant.kept_of(len(combinations)):
        combination = combinations[position]
        if "seed" in combination.overrides and seeds != [None]:
            node = combination.overrides["seed"]
            raise SpecError([Problem(node.place, "seed is swept, and seeds are given", ONE)])
        tree = layered(base, [combination.overrides], variant.layers)
        try:
            for seeded, settings in _with_seeds(tree, seeds, is_first=not cells):
                cell = _cell(name, position, combination, settings, seeded, variant)
                cells.append(ResolvedCell(cell, settings, seeded))
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
            failed += 1
            if len(problems) > MAX_PROBLEMS or failed == MAX_FAILED:
                break
    refuse(problems)
    return cells


def _own_settings(document: Node) -> Node:
    own = {key: child for key, child in document.value.items() if key in SETTING_ROOTS}
    return Node(own, document.place)


def _with_seeds(
    tree: Node, seeds: Sequence[Node | None], is_first: bool
) -> Iterator[tuple[Node, Settings]]:
    """Yield tree and settings for each seed, which alone differs.

    Args:
        tree: of a combination, without a seed where ``seeds`` gives some.
        seeds: that are given, or None.
        is_first: whether the seeds have not been validated yet.

    Raises:
        SpecError: with every problem of the settings, and of the seeds when they are validated.
    """
    settings: Settings | None = None
    problems: list[Problem] = []
    for seed in seeds:
        seeded = tree if seed is None else put(tree, ("seed",), seed)
        if settings is not None and seed is not None and not is_first:
            yield seeded, settings.model_copy(update={"seed": seed.value})
            continue
        try:
            settings = resolve(seeded)
        except SpecError as error:
            problems += error.problems
        else:
            yield seeded, settings
    if problems:
        raise SpecError(problems)


def _cell(
    name: str,
    position: int,
    combination: Combination,
    settings: Settings,
    tree: Node,
    variant: Variant,
) -> Cell:
    swept = {path: find(tree, path.split(".")) for path in combination.overrides}
    published = {title: float(node.value) for title, node in combination.published.items()}
    return Cell(
        experiment=name,
        position=position,
        seed=settings.seed,
        labels=dict(combination.labels),
        swept={path: plain(node) for path, node in swept.items() if node is not None},
        published={} if variant.name else published,
        variant=variant.name,
        settings=canonical_settings(settings),
        settings_key=settings_key(settings),
    )


def _published(
    combinations: Iterable[Combination], node: Node | None
) -> Iterator[tuple[str, Node]]:
    """Yield (title, value) of all published values, each once."""
    seen: set[int] = set()
    given = [item.published for item in combinations]
    given += [values for _, _, values in _wheres(node)]
    for title, value in (pair for values in given for pair in values.items()):
        if id(value) not in seen:
            seen.add(id(value))
            yield title, value


def _wheres(node: Node | None) -> Iterator[tuple[Node, dict[str, Node], dict[str, Node]]]:
    """Yield (entry, conditions, values) of the top-level ``published`` list."""
    if node is None:
        return
    allowed = "a list, as [{where: {lr: 0.1}, values: {TEST_ACC: 0.49}}]"
    if not node.is_sequence:
        raise SpecError([Problem(node.place, f"published is {node.describe()}", allowed)])
    for entry in node.value:
        where, values = entry.get("where"), entry.get("values")
        if where is None or values is None or set(entry.value) != {"where", "values"}:
            keys = f" of {', '.join(entry.value)}" if entry.is_mapping and entry.value else ""
            found = f"an entry of published is {entry.describe()}{keys}"
            raise SpecError([Problem(entry.place, found, "{where: {…}, values: {…}}")])
        if not where.is_mapping:
            raise SpecError([Problem(where.place, f"where is {where.describe()}", "a mapping")])
        yield entry, dict(where.value), published_values(values)


def _with_where(
    cells: Sequence[ResolvedCell], labels: Sequence[str], node: Node | None, variant: Variant
) -> list[ResolvedCell]:
    """Return the cells with the published values whose ``where`` they match; variants have none."""
    result = list(cells)
    if node is not None:
        check_published(node, len(cells))
    for entry, where, values in _wheres(node):
        for name, child in where.items():
            if name not in labels and setting_path(name) is None:
                raise SpecError([unknown_setting(name, child, sorted(labels))])
        if variant.name:
            continue
        matches = [index for index, item in enumerate(result) if cell_matches(item.cell, where)]
        if not matches:
            shown = ", ".join(f"{name}: {plain(child)!r}" for name, child in where.items())
            place = entry.value["where"].place
            found = f"where {{{shown}}} matches no cell"
            raise SpecError([Problem(place, found, _what_varies(cells))])
        for index in matches:
            item = result[index]
            numbers = {title: float(child.value) for title, child in values.items()}
            published = {**item.cell.published, **numbers}
            result[index] = replace(item, cell=replace(item.cell, published=published))
    return result


def _what_varies(cells: Sequence[ResolvedCell]) -> str:
    values: dict[str, dict[str, None]] = {}
    for item in cells:
        swept = {short_name(path): value for path, value in item.cell.swept.items()}
        for name, value in {**item.cell.labels, **swept}.items():
            values.setdefault(name, {})[str(value)] = None
    shown = [f"{name}: {', '.join(list(seen)[:12])}" for name, seen in values.items()]
    return "; ".join(shown) or "nothing varies between the cells"
