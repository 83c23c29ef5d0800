"""What a plan costs: epochs, seconds, bytes. Says what it does not know."""

from collections.abc import Iterable
from dataclasses import dataclass

from runner.core.plan import Facts, Plan
from runner.core.stages import Analyse, Stage


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of some stages.

    Attributes:
        stages: how many.
        epochs: the most epochs that are trained.
        seconds: estimated, over the stages whose cost was measured.
        unknown: trainings whose cost was never measured on this device.
        num_bytes: disk of the products, as far as known; of analyses, logits alone.
        state_bytes: disk of the states at the ends of trainings, about; within the cache's limit.
        unsized: stages whose product's size is not known; arrays of analyses do not count.
        changed_bytes: disk of the images that analyses change, at most; within the cache's limit,
            before which these go first.
    """

    stages: int
    epochs: int
    seconds: float
    unknown: int
    num_bytes: int
    state_bytes: int = 0
    unsized: int = 0
    changed_bytes: int = 0


def cost_of(stages: Iterable[Stage], facts: Facts) -> Cost:
    """Return the cost of the stages."""
    count = epochs = unknown = num_bytes = state_bytes = unsized = 0
    changed: dict[str, int] = {}
    seconds = 0.0
    for stage in stages:
        count += 1
        epochs += stage.epochs
        num_bytes += stage.num_bytes or 0
        state_bytes += stage.state_bytes
        unsized += stage.num_bytes is None and not isinstance(stage, Analyse)
        if isinstance(stage, Analyse) and stage.changed_key:
            changed[stage.changed_key] = stage.changed_bytes
        per_unit = facts.seconds.get(stage.cost_key)
        if per_unit is not None:
            seconds += per_unit * stage.cost_units
        elif stage.epochs:
            unknown += 1
    kept = min(state_bytes, facts.cache_limit)
    room = facts.cache_limit - kept
    changed_bytes = min(sum(changed.values()), room)
    return Cost(count, epochs, seconds, unknown, num_bytes, kept, unsized, changed_bytes)


def plan_costs(naive: Plan, planned: Plan, facts: Facts) -> tuple[Cost, Cost]:
    """Return the cost of everything wanted, each run by itself, and of what is planned."""
    return cost_of(naive.stages, facts), cost_of(planned.stages, facts)


def predicted(stage: Stage, facts: Facts) -> dict[str, float | None]:
    """Return the epochs and seconds that a stage is expected to take, as JSON."""
    per_unit = facts.seconds.get(stage.cost_key)
    seconds = None if per_unit is None else per_unit * stage.cost_units
    return {"epochs": stage.epochs, "seconds": seconds}
