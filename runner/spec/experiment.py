"""A spec file as an experiment: its cells, resolved settings and tables.

The entry point of this package: a spec is checked completely here, before any work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.components.component import canonical_settings, with_shared_parts
from runner.components.resolved import settings_key
from runner.components.settings import Settings
from runner.core.errors import MAX_PROBLEMS, Problem, SpecError, refuse
from runner.core.run import Cell
from runner.spec.analyses import Analyses, analysis_problems, parse_analyses
from runner.spec.cell_names import cell_names
from runner.spec.compose import load_document
from runner.spec.names import SETTING_ROOTS, spell_out
from runner.spec.nodes import Node, find, merge, plain, put, to_node
from runner.spec.published import published_entries, with_published
from runner.spec.resolve import DEFAULTS, layered, resolve
from runner.spec.seeds import ONE, seeds_of, written_seeds
from runner.spec.sizes import check_cells, check_phases
from runner.spec.sweep import Combination, expand_sweep, label_names, published_value
from runner.spec.tables.checks import default_tables, published_problems, table_problems
from runner.spec.tables.table import Table, parse_tables
from runner.spec.texts import text_problems
from runner.spec.unknown import UnknownName
from runner.spec.variants import (
    Variant,
    check_profiles,
    make_variant,
    profile_analyses,
    profile_layers,
    refuse_infinite,
)
from runner.spec.written import at_new_positions, written_problems

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MAX_FAILED = 2000
"""Wrong combinations after which no others are looked at."""


@dataclass(frozen=True)
class ResolvedCell:
    """A cell, its validated settings and where they were written.

    Attributes:
        cell: the cell.
        settings: its settings, validated.
        tree: the same before validation, with file positions.
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
        analyses: what is looked at on the weights of every cell's run, by name.
    """

    name: str
    about: str
    path: Path
    source: str
    document: Mapping[str, Any]
    variant: str
    cells: tuple[ResolvedCell, ...]
    tables: tuple[Table, ...]
    analyses: Analyses = field(default_factory=dict)


def load_experiment(path: Path, profile: str | None = None, sets: Sequence[str] = ()) -> Experiment:
    """Return the experiment in a spec file.

    Args:
        path: the file.
        profile: name of one of its profiles.
        sets: ``setting=value`` options.

    Raises:
        SpecError: with all problems of the first check that finds any.
    """
    return build_experiment(load_document(path), path, profile, sets)


def build_experiment(
    document: Node, path: Path, profile: str | None = None, sets: Sequence[str] = ()
) -> Experiment:
    """Return the experiment that a document tree describes; see :func:`load_experiment`."""
    try:
        return _built(document, path, profile, sets)
    except UnknownName as error:
        raise error.among(merge(DEFAULTS, _base(document))) from None


def _built(document: Node, path: Path, profile: str | None, sets: Sequence[str]) -> Experiment:
    name, about = _name(document, path), document.get("about")
    refuse(text_problems(document))
    check_profiles(document.get("profiles"))
    variant = make_variant(document, profile, sets)
    combinations = expand_sweep(document.get("sweep"))
    seeds = seeds_of(document, variant)
    num_kept = len(variant.kept_positions(len(combinations)))
    seeds_node = variant.seeds or document.get("seeds")
    check_cells(num_kept, len(seeds), _own_settings(document), seeds_node)
    analyses = parse_analyses(document.get("analyses"), variant.analyses)
    for layer in profile_analyses(document.get("profiles")):
        parse_analyses(document.get("analyses"), [layer])
    cells = _cells(name, document, combinations, seeds, variant)
    refuse_infinite(document)
    trainings = (item.settings.train for item in cells)
    phases = sum(each.schedule.num_phases(each.epochs) for each in trainings)
    check_phases(phases, len(cells), document)
    labels = label_names(document.get("sweep"))
    plain_cells = [item.cell for item in cells]
    tables_node = document.get("tables")
    if tables_node is None:
        tables_node = to_node(
            default_tables(name, plain_cells, cells[0].settings), document.position
        )
    tables = parse_tables(tables_node, labels, analyses)
    entries = document.get("published")
    published_cells = with_published(plain_cells, labels, entries, bool(variant.name))
    names = cell_names({cell.position: (cell.labels, cell.swept) for cell in plain_cells})
    cells = [
        replace(item, cell=replace(cell, name=names[cell.position]))
        for item, cell in zip(cells, published_cells, strict=True)
    ]
    distinct = {item.cell.settings_key: item.settings for item in cells}
    refuse(analysis_problems(analyses, distinct.values()))
    if not variant.name:
        refuse(table_problems(tables, plain_cells, distinct.values(), analyses))
        refuse(published_problems(tables, _published(combinations, entries)))
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = about.value.strip() if about is not None else ""
    record = {**plain(document), **_recorded(analyses), "tables": plain(tables_node)}
    return Experiment(
        name, text, path, source, record, variant.name, tuple(cells), tables, analyses
    )


def _recorded(analyses: Analyses) -> dict[str, Any]:
    """Return the analyses as records hold them, resolved; nothing where there are none."""
    if not analyses:
        return {}
    return {
        "analyses": {name: canonical_settings(each.settings) for name, each in analyses.items()}
    }


def recorded_tables(document: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return the tables of a recorded document, without expanding its sweep."""
    tree = to_node(document)
    analyses = parse_analyses(tree.get("analyses"))
    return parse_tables(tree.get("tables"), label_names(tree.get("sweep")), analyses)


def _name(document: Node, path: Path) -> str:
    node = document.get("name")
    if node is None:
        raise SpecError(
            [
                Problem(
                    document.position,
                    "the spec lacks 'name'",
                    hint="add one, as `name: my_experiment`",
                )
            ]
        )
    name: str = node.value
    if not NAME.fullmatch(name):
        allowed = "letters, digits, _ . and -, beginning with a letter or digit"
        suggestion = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-")
        raise SpecError(
            [Problem(node.position, f"the name is '{name}'", allowed, suggestion=suggestion)]
        )
    return name


def _base(document: Node) -> Node:
    """Return the spec's own settings, spelled out."""
    return spell_out("", _own_settings(document))


def _cells(
    name: str,
    document: Node,
    combinations: Sequence[Combination],
    seeds: Sequence[Node | None],
    variant: Variant,
) -> list[ResolvedCell]:
    base = _base(document)
    cells: list[ResolvedCell] = []
    problems: dict[Problem, None] = {}
    in_the_way: list[Problem] = []
    failed = 0
    for position in variant.kept_positions(len(combinations)):
        combination = combinations[position]
        if "seed" in combination.overrides and seeds != [None]:
            node = combination.overrides["seed"]
            raise SpecError(
                [Problem(node.position, "seed is swept, and seeds are given", hint=ONE)]
            )
        try:
            tree = layered(base, [combination.overrides], variant.layers)
        except SpecError as error:
            in_the_way += error.problems
            continue
        try:
            for seeded, settings in _with_seeds(tree, seeds, is_first=not cells):
                cell = _cell(name, position, combination, settings, seeded, variant)
                cells.append(ResolvedCell(cell, settings, seeded))
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
            failed += 1
            if len(problems) > MAX_PROBLEMS or failed == MAX_FAILED:
                break
    layers = [*_profile_layers(document), *variant.layers]
    if variant.name or in_the_way:
        layers += [combination.overrides for combination in combinations]
    problems |= dict.fromkeys(at_new_positions(written_problems(base, layers), list(problems)))
    problems |= dict.fromkeys(at_new_positions(in_the_way, list(problems)))
    refuse(problems)
    return cells


def _profile_layers(document: Node) -> list[Mapping[str, Node]]:
    """Return every layer that a profile or `seeds` may put over a cell."""
    seeds = [seed for each in written_seeds(document) for seed in each.value]
    return [*profile_layers(document.get("profiles")), *({"seed": seed} for seed in seeds)]


def _own_settings(document: Node) -> Node:
    own = {key: child for key, child in document.value.items() if key in SETTING_ROOTS}
    return Node(own, document.position)


def _with_seeds(
    tree: Node, seeds: Sequence[Node | None], is_first: bool
) -> Iterator[tuple[Node, Settings]]:
    """Yield tree and settings for each seed; nothing else differs.

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
            settings = with_shared_parts(resolve(seeded))
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
    published = {title: published_value(node) for title, node in combination.published.items()}
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
    given += [values for _, _, values in published_entries(node)]
    for title, value in (pair for values in given for pair in values.items()):
        if id(value) not in seen:
            seen.add(id(value))
            yield title, value
