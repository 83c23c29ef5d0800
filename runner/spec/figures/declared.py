"""The `figures` of a spec: what is to be drawn of its runs and analyses, by name.

Owns the analysis that each means, and the figures of a spec that declares none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.spec.analyses import Analyses, DeclaredAnalysis
from runner.spec.entries import Section, kinds_of
from runner.spec.figures.kinds import FigureKind, FigureSettings, OfAnalysis
from runner.spec.nodes import Node

EXAMPLE = "figures by name, as {rates: {name: setting, x: lr}}"
KINDS = kinds_of(FigureKind)
"""Figures by the name that chooses them."""

SECTION = Section("figures", "a figure", KINDS, EXAMPLE)
OPTION = "--"


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
    tree = SECTION.spelled_out(node)
    if tree.is_mapping and not tree.value:
        raise SpecError([Problem(tree.position, f"figures is {tree.describe()}", EXAMPLE)])
    figures = SECTION.read(tree, lambda name, child: parse_figure(name, child, analyses))
    return tuple(figures.values())


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
    kind = SECTION.kind(name, node)
    if _is_other_kind(name, kind):
        found = f"the name of a kind of figures, '{name}', for a figure of kind {kind}"
        where = node.key_position or node.position
        raise SpecError([Problem(where, found, hint="give it another name")])
    settings = SECTION.settings(name, node)
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
