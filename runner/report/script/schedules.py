"""Learning-rate schedules as lines of a function of `epoch` and `history`."""

from __future__ import annotations

from runner.components.measures import mode_of
from runner.components.schedules import (
    Constant,
    Cosine,
    MultiStep,
    Plateau,
    Schedule,
    Step,
)


def rate_lines(schedule: Schedule) -> list[str]:
    """Return the lines that return the rate of an epoch, as the schedule's own ``lr_at`` does."""
    lines = _lines(schedule)
    if schedule.warmup:
        lines += [
            f"if epoch <= {schedule.warmup}:",
            f"    rate = rate * epoch / {schedule.warmup + 1}",
        ]
    if lines[:-1] or not lines[0].startswith("rate = "):
        return [*lines, "return rate"]
    return [lines[0].replace("rate = ", "return ", 1)]


def _lines(schedule: Schedule) -> list[str]:
    match schedule:
        case Constant():
            return ["rate = LEARNING_RATE"]
        case Step():
            reductions = f"((epoch - 1) // {schedule.step_size})"
            return [f"rate = LEARNING_RATE * {schedule.gamma!r} ** {reductions}"]
        case MultiStep():
            reductions = f"sum(each < epoch for each in {schedule.milestones})"
            return [f"rate = LEARNING_RATE * {schedule.gamma!r} ** {reductions}"]
        case Cosine():
            low = schedule.min_lr
            wave = "(1 + np.cos(np.pi * (epoch - 1) / EPOCHS)) / 2"
            return [f"rate = float({low!r} + (LEARNING_RATE - {low!r}) * {wave})"]
        case Plateau():
            return _plateau(schedule)


def _plateau(schedule: Plateau) -> list[str]:
    sign = "" if mode_of(schedule.monitor) == "min" else "-"
    return [
        "rate, lowest, waited = LEARNING_RATE, None, 0",
        "for metrics in history:",
        f"    value = {sign}metrics[{schedule.monitor!r}]",
        f"    if lowest is None or value < lowest - {schedule.threshold!r}:",
        "        lowest, waited = value, 0",
        "        continue",
        "    waited += 1",
        f"    if waited > {schedule.patience}:",
        f"        rate, waited = max(rate * {schedule.factor!r}, {schedule.min_lr!r}), 0",
    ]
