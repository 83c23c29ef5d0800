"""The `analyses` of a spec: what is to be looked at on the weights of every run, by name.

Owns the short forms of their transforms, overrides and checks against the cells. They are no
settings of a run: no key of a run knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from runner.components.analyses import Analysis, analysis_key
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.settings import Settings
from runner.core.errors import Problem, SourcePosition
from runner.core.reader import LAST, KeptWeights
from runner.spec.entries import Section, kinds_of
from runner.spec.nodes import Node, find
from runner.spec.transforms import spell_out_transforms

ROOT = "analyses"
EXAMPLE = "analyses by name, as {shaken: {name: robustness, transforms: [RandomHorizontalFlip]}}"
KINDS = kinds_of(Analysis)
"""Analyses by the name that chooses them."""

SECTION = Section(ROOT, "an analysis", KINDS, EXAMPLE)


@dataclass(frozen=True, slots=True)
class DeclaredAnalysis:
    """An analysis of a spec.

    Attributes:
        name: by which tables and people call it.
        settings: what is looked at.
        key: of the settings.
        tree: the settings as written, with file positions.
    """

    name: str
    settings: AnalysisSettings
    key: str
    tree: Node

    def position(self, path: str = "") -> SourcePosition | None:
        """Return where a setting stands, or the nearest above it that was written."""
        steps = path.split(".") if path else []
        for end in range(len(steps), 0, -1):
            node = find(self.tree, steps[:end])
            if node is None and steps[end - 1].isdigit():
                continue
            if node is not None and node.position is not None:
                return node.position
        return self.tree.key_position or self.tree.position


Analyses = Mapping[str, DeclaredAnalysis]


def spell_out_analyses(node: Node) -> Node:
    """Return `analyses` as a mapping of mappings; what is neither stays, to be refused later.

    Raises:
        SpecError: for a list in which a name stands twice.
    """
    node = SECTION.spelled_out(node)
    if not node.is_mapping:
        return node
    return replace(node, value={name: _spelled(each) for name, each in node.value.items()})


def _spelled(node: Node) -> Node:
    transforms = node.get("transforms")
    if transforms is None:
        return node
    return replace(node, value={**node.value, "transforms": spell_out_transforms(transforms)})


def parse_analyses(
    node: Node | None, overrides: Iterable[Mapping[str, Node]] = ()
) -> dict[str, DeclaredAnalysis]:
    """Return the analyses of a spec by name.

    Args:
        node: the spec's ``analyses``, or None.
        overrides: of a profile and ``--set``, by dotted path, later ones on top.

    Raises:
        SpecError: with every problem found.
    """
    tree = Node({}) if node is None else spell_out_analyses(node)
    for layer in overrides if tree.is_mapping else ():  # what is none is refused with the rest
        for path in sorted(layer, key=lambda dotted: (dotted.count("."), dotted)):
            tree = spell_out_analyses(SECTION.overridden(tree, path, layer[path]))
    return SECTION.read(tree, _analysis)


def given_analysis(kind: str, given: Mapping[str, Node]) -> AnalysisSettings:
    """Return an analysis whose settings are given one by one, each as a spec says it.

    Raises:
        SpecError: with every problem found.
    """
    tree = Node({kind: Node({"name": Node(kind), **given})})
    return parse_analyses(tree)[kind].settings


def _analysis(name: str, node: Node) -> DeclaredAnalysis:
    settings = SECTION.settings(name, node)
    assert isinstance(settings, AnalysisSettings)
    return DeclaredAnalysis(name, settings, analysis_key(settings), node)


def kept_weights(analysis: AnalysisSettings, settings: Settings) -> KeptWeights | None:
    """Return the weights of a run that an analysis looks at, None where the run keeps none such."""
    return kept_as(analysis.weights, settings)


def kept_as(weights: KeptWeights, settings: Settings) -> KeptWeights | None:
    """Return as which weights a run keeps its best or last ones, None where it keeps none such."""
    if weights == "best":
        return "best"
    if settings.train.best.monitor == LAST:
        return "best"
    return "last" if settings.evaluate.test == "last" else None


def analysis_problems(analyses: Analyses, settings: Iterable[Settings]) -> Iterator[Problem]:
    """Yield the analyses that can be made of no run of the spec, or of images that there are not.

    Args:
        analyses: of the spec.
        settings: of its cells.
    """
    if not analyses:
        return
    cells = list(settings)
    for each in analyses.values():
        if all(kept_weights(each.settings, cell) is None for cell in cells):
            found = f"analysis {each.name} looks at the last weights, which no run keeps"
            hint = "set evaluate.test: last, or train.best: {monitor: last}"
            yield Problem(each.position("weights"), found, "weights: best", hint=hint)
        split = each.settings.looks_at()
        fractions = {"val": "data.validation", "test": "data.test"}
        if split in fractions and not any(_has(cell, split) for cell in cells):
            found = f"analysis {each.name} looks at {split} images, but {fractions[split]} is 0"
            yield Problem(each.position("split"), found, f"another split, or {fractions[split]}")


def _has(settings: Settings, split: str) -> bool:
    """Return whether a data set may have images of the split; of `test` binding knows the rest."""
    if split == "val":
        return settings.data.has_validation()
    return split != "test" or settings.data.has_test()
