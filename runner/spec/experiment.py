"""A spec file as an experiment: its cells, resolved settings and tables.

The entry point of this package: a spec is checked completely here, before any work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.components.component import canonical_settings
from runner.components.own.permission import forget_packages
from runner.core.errors import Problem, SpecError, refuse
from runner.spec.analyses import SECTION as ANALYSES
from runner.spec.analyses import Analyses, analysis_problems, parse_analyses
from runner.spec.cell_names import cell_names
from runner.spec.cells import Axes, ResolvedCell, base_settings, own_settings, resolved_cells
from runner.spec.compose import load_document
from runner.spec.figures.checks import figure_problems
from runner.spec.figures.declared import Figures, parse_figures
from runner.spec.folds import folds_of
from runner.spec.metrics import SECTION as METRICS
from runner.spec.metrics import Metrics, parse_metrics, recorded_metrics, stored_names
from runner.spec.nodes import Node, merge, plain, to_node
from runner.spec.published import published_entries, with_published
from runner.spec.resolve import DEFAULTS
from runner.spec.seeds import seeds_of
from runner.spec.sizes import check_cells, check_phases
from runner.spec.sweep import Combination, expand_sweep, label_names
from runner.spec.tables.checks import default_tables, published_problems, table_problems
from runner.spec.tables.table import Table, parse_tables
from runner.spec.texts import text_problems
from runner.spec.unknown import UnknownName
from runner.spec.variants import (
    check_profiles,
    make_variant,
    profile_entries,
    refuse_infinite,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Experiment:
    """One spec, validated and expanded.

    Attributes:
        document: the spec with what it extends, as plain values, for the record.
        source: the text of the file as written.
        cells: in the order of the spec, folds outside seeds.
        metrics: own ones that tables may show, by name.
        analyses: what is looked at on the weights of every cell's run, by name.
        figures: declared ones, or those of a spec that declares none.
    """

    name: str
    about: str
    path: Path
    source: str
    document: Mapping[str, Any]
    variant: str
    cells: tuple[ResolvedCell, ...]
    tables: tuple[Table, ...]
    metrics: Metrics = field(default_factory=dict)
    analyses: Analyses = field(default_factory=dict)
    figures: Figures = ()


def load_experiment(path: Path, profile: str | None = None, sets: Sequence[str] = ()) -> Experiment:
    """Return the experiment in a spec file.

    Args:
        path: the file.
        profile: name of one of its profiles.
        sets: ``setting=value`` options.

    Raises:
        SpecError: with all problems of the first check that finds any.
    """
    forget_packages()
    return build_experiment(load_document(path), path, profile, sets)


def build_experiment(
    document: Node, path: Path, profile: str | None = None, sets: Sequence[str] = ()
) -> Experiment:
    """Return the experiment that a document tree describes; see :func:`load_experiment`."""
    try:
        return _built(document, path, profile, sets)
    except UnknownName as error:
        raise error.among(merge(DEFAULTS, base_settings(document))) from None


def _built(document: Node, path: Path, profile: str | None, sets: Sequence[str]) -> Experiment:
    name, about = _name(document, path), document.get("about")
    refuse(text_problems(document))
    check_profiles(document.get("profiles"))
    variant = make_variant(document, profile, sets)
    combinations = expand_sweep(document.get("sweep"))
    seeds, folds = seeds_of(document, variant), folds_of(document, variant)
    num_kept = len(variant.kept_positions(len(combinations)))
    axes = {"seeds": len(seeds), "folds": len(folds)}
    axes_node = variant.seeds or document.get("seeds") or variant.folds or document.get("folds")
    check_cells(num_kept, axes, own_settings(document), axes_node)
    analyses = parse_analyses(document.get("analyses"), variant.analyses)
    for layer in profile_entries(ANALYSES, document.get("profiles")):
        parse_analyses(document.get("analyses"), [layer])
    metrics = parse_metrics(document.get(METRICS.key), variant.metrics)
    own = stored_names(metrics)
    for layer in profile_entries(METRICS, document.get("profiles")):
        parse_metrics(document.get(METRICS.key), [layer])
    cells = resolved_cells(name, document, combinations, Axes(seeds, folds), variant)
    refuse_infinite(document)
    trainings = (item.settings.train for item in cells)
    phases = sum(each.schedule.num_phases(each.epochs) for each in trainings)
    check_phases(phases, len(cells), document)
    labels = label_names(document.get("sweep"))
    plain_cells = [item.cell for item in cells]
    tables_node = document.get("tables")
    if tables_node is None:
        tables_node = to_node(
            default_tables(name, plain_cells, cells[0].settings, list(metrics)), document.position
        )
    tables = parse_tables(tables_node, labels, analyses, own)
    figures = parse_figures(document.get("figures"), analyses)
    entries = document.get("published")
    published_cells = with_published(plain_cells, labels, entries, bool(variant.name))
    names = cell_names({cell.position: (cell.labels, cell.swept) for cell in plain_cells})
    cells = [
        replace(item, cell=replace(cell, name=names[cell.position]))
        for item, cell in zip(cells, published_cells, strict=True)
    ]
    distinct = {item.cell.settings_key: item.settings for item in cells}
    refuse(analysis_problems(analyses, distinct.values()))
    if document.get("figures") is not None:
        refuse(figure_problems(figures, plain_cells, distinct, own, bool(variant.name)))
    if not variant.name:
        refuse(table_problems(tables, plain_cells, distinct.values(), analyses))
        refuse(published_problems(tables, _published(combinations, entries)))
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = about.value.strip() if about is not None else ""
    record = {**plain(document), **_recorded(analyses), "tables": plain(tables_node)}
    if metrics:
        record[METRICS.key] = {each.name: each.recorded() for each in metrics.values()}
    return Experiment(
        name=name,
        about=text,
        path=path,
        source=source,
        document=record,
        variant=variant.name,
        cells=tuple(cells),
        tables=tables,
        metrics=metrics,
        analyses=analyses,
        figures=figures,
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
    metrics = recorded_metrics(document)
    return parse_tables(tree.get("tables"), label_names(tree.get("sweep")), analyses, metrics)


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
