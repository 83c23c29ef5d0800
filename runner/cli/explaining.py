"""A plan as text: the tree of stages, what the rules saved, what is not shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.cli.formatting import pluralize
from runner.components.download import show_bytes
from runner.core.records import ActualCost
from runner.core.text import show_seconds
from runner.planner.explain import Branch, Ending, Saving

if TYPE_CHECKING:
    from runner.api.foreseeing import KindTotal

SHOWN_RUNS = 6
SHOWN_LINES = 60


def saving_lines(savings: Sequence[Saving]) -> Iterator[str]:
    """Yield a line for each rule that changed the plan."""
    width = max((len(saving.rule) for saving in savings), default=0)
    for saving in savings:
        parts = [_less(saving.epochs, "epoch"), _less(saving.stages, "stage")]
        if abs(saving.seconds) >= 0.05:
            word = "less" if saving.seconds > 0 else "more"
            parts.append(f"{show_seconds(abs(saving.seconds))} {word}")
        yield f"  {saving.rule.ljust(width)}  {', '.join(part for part in parts if part)}"


def total_lines(found: Sequence[KindTotal]) -> Iterator[str]:
    """Yield prediction against truth, a line for each kind of stage."""
    for each in found:
        parts = [f"{each.kind.ljust(8)}  {pluralize(each.attempts, 'stage')}"]
        if each.predicted_epochs or each.epochs:
            parts.append(f"{each.predicted_epochs} epochs planned, {each.epochs} trained")
        if each.foreseen:
            seconds, took = show_seconds(each.predicted_seconds), show_seconds(each.seconds)
            parts.append(f"{each.foreseen} predicted to take {seconds} took {took}")
        if each.foreseen < each.attempts:
            others = each.attempts - each.foreseen
            parts.append(f"{others} never measured before took {show_seconds(each.other_seconds)}")
        yield "; ".join(parts)


def _less(number: int, noun: str) -> str:
    if not number:
        return ""
    return f"{pluralize(abs(number), noun)} {'less' if number > 0 else 'more'}"


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a tree is shown: what its runs are called, how long it may be, and which numbers."""

    names: Mapping[str, str]
    full: bool
    is_actual: bool


def tree_lines(
    branches: Sequence[Branch], names: Mapping[str, str], full: bool, is_actual: bool = False
) -> list[str]:
    """Return the lines of the tree, at most ``SHOWN_LINES`` unless ``full``."""
    shown = _Shown(names, full, is_actual)
    lines = [line for branch in branches for line in _branch(branch, shown, "", "", "")]
    if full or len(lines) <= SHOWN_LINES:
        return lines
    left = len(lines) - SHOWN_LINES
    return [*lines[:SHOWN_LINES], f"… {pluralize(left, 'line')} more (--full)"]


def _branch(branch: Branch, shown: _Shown, before: str, fork: str, below: str) -> Iterator[str]:
    yield f"  {before}{fork}{stage_words(branch, shown.is_actual)}"
    inner = before + below
    runs = branch.runs if shown.full else branch.runs[:SHOWN_RUNS]
    entries: list[Branch | str] = [_reading(each, shown.names[each.run]) for each in runs]
    if len(branch.runs) > len(runs):
        entries.append(f"… and {len(branch.runs) - len(runs)} more")
    entries += branch.children
    for number, entry in enumerate(entries):
        is_last = number == len(entries) - 1
        mark, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        if isinstance(entry, str):
            yield f"  {inner}{mark}{entry}"
        else:
            yield from _branch(entry, shown, inner, mark, rest)


def _reading(ending: Ending, name: str) -> str:
    if not ending.last_epoch:
        return name
    return f"{name}: reads epochs 1–{ending.last_epoch}" + (" at most" if ending.may_stop else "")


ENDINGS = {
    "done": "took",
    "diverged": "diverged after",
    "failed": "failed after",
    "interrupted": "stopped after",
    "lost": "its process died after",
    "running": "running, so far",
}
"""By the status of a stage's last attempt."""


def actual_words(actual: ActualCost | None) -> str:
    """Return what was expected of a stage and what it took, in words."""
    if actual is None:
        return "never done"
    if actual.status == "reference":
        return "imported"
    expected = [] if actual.predicted_seconds is None else [show_seconds(actual.predicted_seconds)]
    expected += [pluralize(actual.predicted_epochs, "epoch")] if actual.predicted_epochs else []
    took = [show_seconds(actual.seconds)]
    took += [pluralize(actual.epochs, "epoch")] if actual.epochs else []
    predicted = f"predicted {', '.join(expected)}" if expected else "never measured before"
    return f"{predicted}; {ENDINGS[actual.status]} {', '.join(took)}"


def stage_words(branch: Branch, is_actual: bool = False) -> str:
    """Return a stage in words: what it does, for how many runs, its seconds and bytes.

    Args:
        branch: the stage.
        is_actual: say what it took instead of what it will take.
    """
    stage = branch.stage
    parts = [stage.title()]
    if branch.through > 1:
        parts.append(f"for {branch.through} runs")
    if is_actual:
        return f"{' '.join(parts)} ({actual_words(branch.actual)})"
    cost = [show_seconds(branch.seconds)] if branch.seconds is not None else []
    cost += [show_bytes(stage.num_bytes)] if stage.num_bytes else []
    text = " ".join(parts)
    return f"{text} ({', '.join(cost)})" if cost else text
