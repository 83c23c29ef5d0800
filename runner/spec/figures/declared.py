"""The `figures` of a spec: what is to be drawn of its runs and analyses, by name.

Owns their short forms, the analysis that each means, and the figures of a spec that declares none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel, ValidationError

from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.spec.analyses import Analyses, DeclaredAnalysis
from runner.spec.figures.kinds import FigureKind, FigureSettings, OfAnalysis
from runner.spec.nodes import Node, plain
from runner.spec.options import model_options, tags_of
from runner.spec.problems import translate

ROOT = "figures"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_FIGURES = 100
EXAMPLE = "figures by name, as {rates: {name: setting, x: lr}}"
OPTION = "--"

KINDS: Mapping[str, type[BaseModel]] = {
    tag: model for model in model_options(FigureKind) for tag in tags_of(model)
}
"""Figures by the name that chooses them."""


@dataclass(frozen=True, slots=True)
class DeclaredFigure:
    """A figure of a spec, or one that a command asks for.

    Attributes:
        name: by which people and files call it.
        settings: what is drawn.
        tree: the settings as written, with positions.
        analysis: the analysis that it draws, or None.
        is_option: whether the settings are options of a command.
        is_default: whether nobody has asked for it.
    """

    name: str
    settings: FigureSettings
    tree: Node
    analysis: DeclaredAnalysis | None = None
    is_option: bool = False
    is_default: bool = False

    @property
    def kind(self) -> str:
        """Which figure it is."""
        return self.settings.kind

    def position(self, setting: str = "") -> SourcePosition | None:
        """Return where a setting was written, or the figure."""
        node = self.tree.get(setting)
        if node is not None and node.position is not None:
            return node.position
        return self.tree.key_position or self.tree.position

    def words(self, setting: str) -> str:
        """Return a setting as it was given: ``--x lr``, or ``x: lr``."""
        value = getattr(self.settings, setting)
        return f"{OPTION}{setting} {value}" if self.is_option else f"{setting}: {value}"

    def advice(self, setting: str) -> str:
        """Return that a setting is to be given."""
        return f"give {OPTION}{setting}" if self.is_option else f"give {setting}"


Figures = tuple[DeclaredFigure, ...]


def spell_out_figures(node: Node) -> Node:
    """Return `figures` as a mapping of mappings; what is neither stays, to be refused later."""
    if node.is_sequence and all(isinstance(each.value, str) for each in node.value):
        named = {each.value: replace(each, key_position=each.position) for each in node.value}
        if len(named) < len(node.value):
            return node
        node = replace(node, value=named)
    if not node.is_mapping:
        return node
    return replace(node, value={name: _spelled(each) for name, each in node.value.items()})


def _spelled(node: Node) -> Node:
    if isinstance(node.value, str):
        return replace(node, value={"name": Node(node.value, node.position, node.position)})
    return node


def parse_figures(node: Node | None, analyses: Analyses) -> Figures:
    """Return the figures of a spec; of one that declares none, curves and its analyses.

    Args:
        node: the spec's ``figures``, or None.
        analyses: of the spec.

    Raises:
        SpecError: with every problem found.
    """
    if node is None:
        return default_figures(analyses)
    tree = spell_out_figures(node)
    if not tree.is_mapping or not tree.value:
        raise SpecError([_no_mapping(tree)])
    if len(tree.value) > MAX_FIGURES:
        found = f"{len(tree.value)} figures"
        raise SpecError([Problem(tree.position, found, f"at most {MAX_FIGURES}")])
    figures: list[DeclaredFigure] = []
    problems: list[Problem] = []
    for name, child in tree.value.items():
        try:
            figures.append(parse_figure(name, child, analyses))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(figures)


def _no_mapping(tree: Node) -> Problem:
    """Return the problem of `figures` that is no mapping; of a list, of the item at fault."""
    seen: set[str] = set()
    for item in tree.value if tree.is_sequence else ():
        if not isinstance(item.value, str):
            return Problem(item.position, f"figures names {item.describe()}", ", ".join(KINDS))
        if item.value in seen:
            hint = "give figures of one kind names of their own"
            return Problem(item.position, f"figures names {item.value} twice", EXAMPLE, hint=hint)
        seen.add(item.value)
    return Problem(tree.position, f"figures is {tree.describe()}", EXAMPLE)


def default_figures(analyses: Analyses) -> Figures:
    """Return what is drawn of a spec that declares no figures."""
    wanted = {"sheet": {"name": "sheet"}}
    for each in analyses.values():
        kinds = [kind for kind in KINDS if _analysis_of(kind) == each.settings.kind]
        for kind in kinds:
            name = each.name if len(kinds) == 1 else f"{each.name}_{kind}"
            name = f"{name}_{kind}" if name in wanted or _is_other_kind(name, kind) else name
            wanted[name] = {"name": kind, "analysis": each.name}
    nodes = {
        name: Node({key: Node(text) for key, text in settings.items()})
        for name, settings in wanted.items()
    }
    return tuple(
        replace(parse_figure(name, node, analyses), is_default=True) for name, node in nodes.items()
    )


def parse_figure(
    name: str, node: Node, analyses: Analyses, is_option: bool = False
) -> DeclaredFigure:
    """Return a figure.

    Args:
        name: of it.
        node: its settings.
        analyses: of the spec.
        is_option: whether the settings are options of a command.

    Raises:
        SpecError: with every problem found.
    """
    where = node.key_position or node.position
    within = f"figure {name}"
    if not NAME.fullmatch(name):
        allowed = "letters, digits and _, beginning with a letter"
        raise SpecError([Problem(where, f"a figure is called '{name}'", allowed)])
    if not node.is_mapping:
        raise SpecError([Problem(node.position, f"{within} is {node.describe()}", EXAMPLE)])
    kind, allowed = node.get("name"), ", ".join(KINDS)
    if kind is None:
        suggestion = f"name: {name}" if name in KINDS else ""
        raise SpecError([Problem(where, f"{within} lacks 'name'", allowed, suggestion=suggestion)])
    if not isinstance(kind.value, str) or kind.value not in KINDS:
        found = f"unknown figure {kind.describe()}"
        suggestion = nearest(kind.text, list(KINDS))
        raise SpecError([Problem(kind.position, found, allowed, suggestion=suggestion)])
    if _is_other_kind(name, kind.value):
        found = f"the name of a kind of figures, '{name}', for a figure of kind {kind.value}"
        raise SpecError([Problem(where, found, hint="give it another name")])
    model = KINDS[kind.value]
    try:
        settings = model.model_validate(plain(node))
    except ValidationError as error:
        raise SpecError(translate(error, model, node, within)) from None
    assert isinstance(settings, FigureSettings)
    figure = DeclaredFigure(name, settings, node, is_option=is_option)
    if isinstance(settings, OfAnalysis):
        return replace(figure, analysis=_meant(figure, settings, analyses))
    return figure


def _is_other_kind(name: str, kind: str) -> bool:
    return name in KINDS and name != kind


def _analysis_of(kind: str) -> str:
    model = KINDS[kind]
    assert issubclass(model, FigureSettings)
    return model.ANALYSIS


def _meant(figure: DeclaredFigure, settings: OfAnalysis, analyses: Analyses) -> DeclaredAnalysis:
    """Return the analysis that a figure draws.

    Raises:
        SpecError: when it is unknown, of another kind, or not the only one.
    """
    kind = settings.ANALYSIS
    of_kind = [name for name, each in analyses.items() if each.settings.kind == kind]
    name, allowed = settings.analysis, ", ".join(of_kind)
    if name is None and len(of_kind) == 1:
        return analyses[of_kind[0]]
    if name in of_kind:
        return analyses[name]
    hint = "" if of_kind else f"name one in the spec's `analyses`, as analyses: {{{kind}: {kind}}}"
    within = f"figure {figure.name}"
    if name is None:
        found = f"{within} draws an analysis '{kind}', but the spec has "
        found += f"{len(of_kind)} of them" if of_kind else "none"
        hint = hint or figure.advice("analysis")
        raise SpecError([Problem(figure.position(), found, allowed, hint=hint)])
    found = f"{within}: no analysis is called '{name}'"
    if name in analyses:
        found = f"{within} draws '{kind}', but the analysis '{name}' is "
        found += f"'{analyses[name].settings.kind}'"
    suggestion = nearest(name, of_kind)
    raise SpecError(
        [Problem(figure.position("analysis"), found, allowed, hint=hint, suggestion=suggestion)]
    )
