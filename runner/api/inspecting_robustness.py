"""The verb `inspect_robustness`: how a run's kept weights fare on changed images.

What a spec's analysis has found is read; anything else is measured now, as that analysis would be.
Nothing is trained and nothing recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.drawing import check_out, draw
from runner.api.frames import Framed, frame_of, records_of
from runner.bind.analysed_now import analysed_now, check_images
from runner.bind.analysis_names import (
    as_values,
    chosen_analysis,
    settings_of,
    told_apart,
    with_names,
)
from runner.bind.kept_analyses import what_makes
from runner.bind.kept_run import KeptRun, kept_run
from runner.bind.named_runs import find_record
from runner.bind.workspace import workspace
from runner.components.analyses import analysis_key
from runner.components.analyses.robustness import UNCHANGED, Robustness
from runner.core.errors import SourcePosition, UsageError
from runner.core.keys import content_key
from runner.core.records import AnalysisValue
from runner.spec.analyses import given_analysis
from runner.spec.nodes import Node, to_node
from runner.spec.yaml_loader import parse_yaml

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KIND = "robustness"
DIGITS = 6
"""Of the key of an analysis, in the name of its figure."""


@dataclass(frozen=True)
class ChangedAccuracy:
    """How a network fares on images of one transform and severity.

    Attributes:
        transform: its label; ``none`` for the images as they are.
        severity: which of its severities; 0 for ``none``.
        accuracy: the mean over the draws.
        accuracy_std: the sample standard deviation of the draws; None of a single one.
        drop: accuracy on the images as they are, minus this one.
    """

    transform: str
    severity: int
    accuracy: float
    accuracy_std: float | None
    drop: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InspectedRobustness(Framed):
    """How a network fares on changed images.

    Attributes:
        run_key: of the run whose weights are looked at.
        epoch: whose weights they are.
        settings: of the analysis.
        rows: by transform and severity.
        values: all that was measured, draw by draw, as the analysis records it.
        figures: one, under the name "".
        paths: of its file.
        notes: what a person should know of the work.
    """

    run_key: str
    epoch: int
    settings: Robustness
    rows: tuple[ChangedAccuracy, ...]
    values: tuple[AnalysisValue, ...]
    figures: Mapping[str, Figure]
    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings."""
        return records_of(self.rows)

    def frame(self) -> pd.DataFrame:
        """Return a row for each, with the attributes of :class:`ChangedAccuracy`."""
        return frame_of(ChangedAccuracy, self.rows)

    def value_frame(self) -> pd.DataFrame:
        """Return a row per value: its name, value, then its dimensions."""
        import pandas as pd

        rows = [{"name": each.name, "value": each.value, **each.dims} for each in self.values]
        return pd.DataFrame(rows)


def inspect_robustness(
    run: str | KeptRun,
    transforms: str | Iterable[str | Mapping[str, Any]] = (),
    *,
    split: str = "val",
    severities: Sequence[int] = (),
    draws: int = 5,
    analysis: str = "",
    out: str | Path | None = None,
    on_done: Callable[[int, int], None] = lambda *_: None,
) -> InspectedRobustness:
    """Return and draw how a run's kept weights fare on changed images.

    What is measured is kept beside the checkpoints: where it is stopped, the same call, or `run` of
    a spec with that analysis, goes on behind it.

    Args:
        run: its name, as :func:`runner.api.show` takes it, or a :class:`KeptRun`.
        transforms: as under `transforms` of the analysis, each a word, YAML, or a mapping:
            ``"cifar10_c"``, ``"fog"``, ``"{name: GaussianBlur, kernel_size: 5}"``. None for what
            an analysis of the spec has found.
        split: ``train``, ``val`` or ``test``.
        severities: of corruptions, these alone; all when not given.
        draws: how often each transform is drawn.
        analysis: without transforms, its name in the spec, or the beginning of its key.
        out: a .png, .svg or .pdf file; figures/RUN-robustness-KEY.png when not given.
        on_done: hears how many images are done, of how many; what it raises ends the work.

    Raises:
        UsageError: when no run is meant, its weights are gone (with what getting them back costs),
            or an analysis that was not made.
        SpecError: for a transform that there is not, or wrong settings of one.
        DataError: when the images cannot be prepared again.
        DiskFull: when there is no room for the figure.
    """
    check_out(out)
    kept = kept_run(run)
    given = [transforms] if isinstance(transforms, str) else list(transforms)
    if not given:
        return _recorded(kept, analysis, out)
    asked = _asked(given, split, draws, kept.weights, severities)
    record = kept.record()
    made = _made_before(record, asked)
    if made is not None:
        return _shown(*made, asked, out)
    model, images = kept.load(record)
    check_images(model, images, asked)
    notes: list[str] = []
    values = analysed_now(kept, model, images, asked, on_done, notes.append)
    return replace(_shown(model.run_key, model.epoch, values, asked, out), notes=tuple(notes))


def _asked(
    given: Sequence[str | Mapping[str, Any]],
    split: str,
    draws: int,
    weights: str,
    severities: Sequence[int],
) -> Robustness:
    """Return the analysis that is asked for."""
    nodes = [each for one in given for each in _transforms(one)]
    settings = {
        "transforms": Node(tuple(nodes), nodes[0].position if nodes else None),
        "split": Node(split, SourcePosition(f"--split {split}", 0, 0)),
        "draws": Node(draws, SourcePosition(f"--draws {draws}", 0, 0)),
        "weights": Node(weights, SourcePosition(f"--weights {weights}", 0, 0)),
    }
    asked = given_analysis(KIND, settings)
    assert isinstance(asked, Robustness)
    return _only(asked, list(dict.fromkeys(severities))) if severities else asked


def _transforms(given: str | Mapping[str, Any]) -> Sequence[Node]:
    """Return the transforms that a text or a mapping says."""
    if not isinstance(given, str):
        return (to_node(given, SourcePosition("transforms", 0, 0)),)
    short = given if given.isprintable() and len(given) < 80 else "…"
    tree = parse_yaml(given, f"--transform {short}")
    if tree.is_sequence:
        found: tuple[Node, ...] = tree.value
        return found
    if isinstance(tree.value, str):  # a word has no line
        return (Node(tree.value, SourcePosition(f"--transform {short}", 0, 0)),)
    return (tree,)


def _only(asked: Robustness, severities: Sequence[int]) -> Robustness:
    """Return an analysis of some severities of its corruptions.

    Raises:
        UsageError: for a transform that is no corruption, or has none of them.
    """
    words = ", ".join(map(str, severities))
    found = []
    for each in asked.transforms:
        if each.corruption() is None:
            raise UsageError(
                f"--severity {words} is of corruptions, and {each.label} is none",
                hint="a transform has the severities that it names",
            )
        pairs = zip(each.numbers(), each.severities, strict=True)
        kept = tuple(steps for number, steps in pairs if number in severities)
        lacking = [number for number in severities if number not in each.numbers()]
        if lacking:
            allowed = ", ".join(map(str, each.numbers()))
            raise UsageError(f"{each.label} has no severity {lacking[0]}", allowed=allowed)
        found.append(each.model_copy(update={"severities": kept}))
    return asked.model_copy(update={"transforms": tuple(found)})


def _recorded(kept: KeptRun, analysis: str, out: str | Path | None) -> InspectedRobustness:
    """Return what an analysis of a spec has found."""
    home = workspace(kept.db)
    with home.open(create=False) as database:
        record = find_record(database, kept.name)
        named = with_names(database, record)
        makes = what_makes(database, home, record)
        made = chosen_analysis(named, kept.name, KIND, analysis, [KIND], makes)
        settings = settings_of(database, made["stage_key"])
    assert isinstance(settings, Robustness)
    values = as_values(made["values"])
    epoch = int(record["result"][f"{settings.weights}_epoch"])
    apart, called = told_apart(named, made), next(iter(made["names"]), "")
    return _shown(str(record["run_key"]), epoch, values, settings, out, apart, called)


def _made_before(
    record: Mapping[str, Any], asked: Robustness
) -> tuple[str, int, tuple[AnalysisValue, ...]] | None:
    """Return run, epoch and values where a spec has asked for the same, and it is recorded."""
    key = analysis_key(asked)
    for each in record.get("analyses", ()):
        if each["made"] and each["analysis_key"] == key:
            epoch = int(record["result"][f"{asked.weights}_epoch"])
            return str(record["run_key"]), epoch, as_values(each["values"])
    return None


def _shown(
    run_key: str,
    epoch: int,
    values: tuple[AnalysisValue, ...],
    settings: Robustness,
    out: str | Path | None,
    apart: str = "",
    called: str = "",
) -> InspectedRobustness:
    """Return values with their table and figure.

    Args:
        run_key: of the run.
        epoch: whose weights they are.
        values: that were measured.
        settings: of the analysis.
        out: as a person gave it.
        apart: what the title says of the analysis, where the run has several.
        called: its name in the spec, for that of the file.
    """
    from runner.report.figures.kinds import draw_values
    from runner.report.figures.robustness import measure

    measured = measure(settings.places(), ("accuracy",), [values])["accuracy"]
    unchanged = measured[UNCHANGED][0].value
    assert unchanged is not None, "the images as they are come first"
    rows = tuple(
        ChangedAccuracy(label, severity, entry.value, entry.std, unchanged - entry.value)
        for label, severities in measured.items()
        for severity, entry in severities.items()
        if entry.value is not None
    )
    said = f", {apart}" if apart else ""
    title = f"run {run_key[:12]}, epoch {epoch}{said}"
    part = called or f"{KIND}-{content_key('figure', analysis_key(settings))[:DIGITS]}"
    path = Path(out) if out is not None else Path("figures") / f"{run_key[:12]}-{part}.png"
    figures, paths = draw(lambda: draw_values(KIND, title, settings, values), path)
    return InspectedRobustness(run_key, epoch, settings, rows, values, figures, paths)
