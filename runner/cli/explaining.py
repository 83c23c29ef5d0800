"""A plan as text: the tree of stages, what the rules saved, what is not shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runner.cli.formatting import pluralize, show_seconds
from runner.components.download import show_bytes
from runner.planner.explain import Branch, Ending, Saving

if TYPE_CHECKING:
    from runner.api.predicting import Actual

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


def actual_lines(found: Sequence[Actual]) -> Iterator[str]:
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


def tree_lines(branches: Sequence[Branch], names: Mapping[str, str], full: bool) -> list[str]:
    """Return the lines of the tree, at most ``SHOWN_LINES`` unless ``full``."""
    lines = [line for branch in branches for line in _branch(branch, names, full, "", "", "")]
    if full or len(lines) <= SHOWN_LINES:
        return lines
    left = len(lines) - SHOWN_LINES
    return [*lines[:SHOWN_LINES], f"… {pluralize(left, 'line')} more (--full)"]


def _branch(
    branch: Branch, names: Mapping[str, str], full: bool, before: str, fork: str, below: str
) -> Iterator[str]:
    yield f"  {before}{fork}{stage_words(branch)}"
    inner = before + below
    runs = branch.runs if full else branch.runs[:SHOWN_RUNS]
    entries: list[Branch | str] = [_reading(each, names[each.run]) for each in runs]
    if len(branch.runs) > len(runs):
        entries.append(f"… and {len(branch.runs) - len(runs)} more")
    entries += branch.children
    for number, entry in enumerate(entries):
        is_last = number == len(entries) - 1
        mark, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        if isinstance(entry, str):
            yield f"  {inner}{mark}{entry}"
        else:
            yield from _branch(entry, names, full, inner, mark, rest)


def _reading(ending: Ending, name: str) -> str:
    if not ending.last_epoch:
        return name
    return f"{name}: reads epochs 1–{ending.last_epoch}" + (" at most" if ending.may_stop else "")


def stage_words(branch: Branch) -> str:
    """Return a stage in words: what it does, for how many runs, its seconds and bytes."""
    stage = branch.stage
    parts = [stage.title()]
    if branch.through > 1:
        parts.append(f"for {branch.through} runs")
    cost = [show_seconds(branch.seconds)] if branch.seconds is not None else []
    cost += [show_bytes(stage.num_bytes)] if stage.num_bytes else []
    text = " ".join(parts)
    return f"{text} ({', '.join(cost)})" if cost else text
