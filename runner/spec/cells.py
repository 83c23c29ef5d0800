"""The cells of a spec: each combination with each fold and seed, layered and validated.

Owns how problems of many combinations become few. Knows no tables and no analyses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner.components.component import canonical_settings, with_shared_parts
from runner.components.resolved import settings_key
from runner.components.settings import Settings
from runner.core.errors import MAX_PROBLEMS, Problem, SpecError, refuse
from runner.core.run import Cell
from runner.spec.folds import FOLD, FOLD_PATH, refuse_both, written_folds
from runner.spec.names import SETTING_ROOTS, spell_out
from runner.spec.nodes import Node, find, plain, put
from runner.spec.resolve import layered, resolve
from runner.spec.seeds import ONE, written_seeds
from runner.spec.sweep import Combination, published_value
from runner.spec.variants import Variant, profile_layers
from runner.spec.written import at_new_positions, written_problems

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
class Axes:
    """What each combination is done with.

    Attributes:
        seeds: as written; [None] where the settings hold the seed.
        folds: values of `data.fold`; [None] where the settings hold it, or there is none.
    """

    seeds: Sequence[Node | None]
    folds: Sequence[Node | None]


def resolved_cells(
    name: str,
    document: Node,
    combinations: Sequence[Combination],
    axes: Axes,
    variant: Variant,
) -> list[ResolvedCell]:
    """Return the cells of an experiment, in the order of the spec, folds outside seeds.

    Raises:
        SpecError: with the problems of all combinations, each once.
    """
    base = base_settings(document)
    cells: list[ResolvedCell] = []
    problems: dict[Problem, None] = {}
    in_the_way: list[Problem] = []
    failed = 0
    for position in variant.kept_positions(len(combinations)):
        combination = combinations[position]
        if "seed" in combination.overrides and axes.seeds != [None]:
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
            for fold, seeded, settings in _along(axes, tree, is_first=not cells):
                cell = _cell(name, position, combination, settings, seeded, variant)
                cells.append(ResolvedCell(replace(cell, fold=fold), settings, seeded))
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


def base_settings(document: Node) -> Node:
    """Return the spec's own settings, spelled out."""
    return spell_out("", own_settings(document))


def own_settings(document: Node) -> Node:
    """Return the spec's own settings as written."""
    own = {key: child for key, child in document.value.items() if key in SETTING_ROOTS}
    return Node(own, document.position)


def _profile_layers(document: Node) -> list[Mapping[str, Node]]:
    """Return every layer that a profile, `seeds` or `folds` may put over a cell."""
    seeds = [seed for each in written_seeds(document) for seed in each.value]
    return [
        *profile_layers(document.get("profiles")),
        *({"seed": seed} for seed in seeds),
        *({FOLD_PATH: fold} for fold in written_folds(document)),
    ]


def _along(axes: Axes, tree: Node, is_first: bool) -> Iterator[tuple[int, Node, Settings]]:
    """Yield the number of the fold, tree and settings for each fold and seed.

    Args:
        axes: the folds and seeds.
        tree: of a combination, without what the axes give.
        is_first: whether the seeds have not been validated yet.

    Raises:
        SpecError: with every problem of the settings.
    """
    if axes.folds == [None]:
        for seeded, settings in _with_seeds(tree, axes.seeds, is_first):
            yield 0, seeded, settings
        return
    refuse_both(tree)
    for number, fold in enumerate(axes.folds, start=1):
        assert fold is not None, "folds have a value each"
        # where one fold is wrong, so are all: the first tells
        in_fold = put(tree, FOLD, fold)
        for seeded, settings in _with_seeds(in_fold, axes.seeds, is_first and number == 1):
            yield number, seeded, settings


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
