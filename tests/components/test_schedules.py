import math
from collections.abc import Callable

import pytest
import torch
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.components.schedules import Constant, Cosine, MultiStep, Plateau, Step

EPOCHS = 60


def torch_rates(
    base_lr: float,
    make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler],
    metrics: list[float] | None = None,
    epochs: int = EPOCHS,
) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)
    scheduler = make(optimizer)
    rates = []
    for epoch in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if metrics is None:
            scheduler.step()
        else:
            scheduler.step(metrics[epoch])
    return rates


def our_rates(schedule, base_lr: float, history=(), epochs: int = EPOCHS) -> list[float]:
    return [schedule.lr_at(base_lr, epoch, epochs, history) for epoch in range(1, epochs + 1)]


def test_constant_never_changes() -> None:
    assert set(our_rates(Constant(name="constant"), 0.3)) == {0.3}


@pytest.mark.parametrize(("step_size", "gamma"), [(1, 0.9), (7, 0.1), (20, 0.5), (100, 0.1)])
def test_step_is_torchs_step_lr(step_size: int, gamma: float) -> None:
    schedule = Step(name="step", step_size=step_size, gamma=gamma)
    expected = torch_rates(
        0.05, lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, step_size, gamma)
    )
    assert our_rates(schedule, 0.05) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("milestones", [(30,), (1, 2, 3), (10, 59), (60,), (5, 100)])
def test_multistep_is_torchs_multi_step_lr(milestones: tuple[int, ...]) -> None:
    schedule = MultiStep(name="multistep", milestones=milestones, gamma=0.3)
    expected = torch_rates(
        0.05,
        lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, list(milestones), 0.3),
    )
    assert our_rates(schedule, 0.05) == pytest.approx(expected, rel=1e-12, abs=0)


def test_epoch_after_a_milestone_is_the_first_with_another_rate() -> None:
    rates = our_rates(MultiStep(name="multistep", milestones=(30,)), 1.0)
    assert rates == [1.0] * 30 + [0.1] * 30


@pytest.mark.parametrize("milestones", [(), (0,), (3, 3), (4, 2)])
def test_milestones_increase_from_one(milestones: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        MultiStep(name="multistep", milestones=milestones)


def beside_a_linear_warmup(warmup: int, make):
    """Return a maker of torch's schedule multiplied by its linear warm-up."""

    def both(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.ChainedScheduler:
        kind = torch.optim.lr_scheduler
        linear = kind.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
        return kind.ChainedScheduler([make(optimizer), linear])

    return both


@pytest.mark.parametrize("warmup", [1, 4, 25, 100])
@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Constant(name="constant"), lambda sgd: torch.optim.lr_scheduler.ConstantLR(sgd, 1.0, 1)),
        (Step(name="step", step_size=7), lambda sgd: torch.optim.lr_scheduler.StepLR(sgd, 7)),
        (
            MultiStep(name="multistep", milestones=(3, 20)),
            lambda sgd: torch.optim.lr_scheduler.MultiStepLR(sgd, [3, 20]),
        ),
        (
            Cosine(name="cosine"),
            lambda sgd: torch.optim.lr_scheduler.CosineAnnealingLR(sgd, EPOCHS),
        ),
    ],
    ids=["constant", "step", "multistep", "cosine"],
)
def test_warmup_is_torchs_linear_lr_beside_the_schedule(schedule, make, warmup: int) -> None:
    warmed = schedule.model_copy(update={"warmup": warmup})
    expected = torch_rates(0.1, beside_a_linear_warmup(warmup, make))
    assert our_rates(warmed, 0.1) == pytest.approx(expected, rel=1e-9, abs=0)


def test_plateau_is_warmed_and_counts_the_epochs_of_its_warmup() -> None:
    plain = Plateau(name="plateau", patience=1, factor=0.5)
    warmed = plain.model_copy(update={"warmup": 4})
    history = [{"val_loss": 1.0}] * 8
    before, after = (our_rates(each, 1.0, history, 8) for each in (plain, warmed))
    assert before == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert after == [0.2, 0.4, 0.6, 0.4, *before[4:]]


@pytest.mark.parametrize("min_lr", [0.0, 0.001])
@pytest.mark.parametrize("epochs", [1, 2, 30, 60])
def test_cosine_is_torchs_cosine_annealing(min_lr: float, epochs: int) -> None:
    schedule = Cosine(name="cosine", min_lr=min_lr)
    expected = torch_rates(
        0.1,
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, min_lr),
        epochs=epochs,
    )
    assert our_rates(schedule, 0.1, epochs=epochs) == pytest.approx(expected, rel=1e-12, abs=0)


@settings(max_examples=examples(60))
@given(
    metrics=st.lists(st.integers(0, 16).map(lambda n: n / 16), min_size=12, max_size=30),
    monitor=st.sampled_from(["val_loss", "val_accuracy"]),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.125]),
    min_lr=st.sampled_from([0.0, 0.003]),
)
def test_plateau_is_torchs_reduce_on_plateau(
    metrics, monitor, factor, patience, threshold, min_lr
) -> None:
    schedule = Plateau(
        name="plateau",
        monitor=monitor,
        factor=factor,
        patience=patience,
        threshold=threshold,
        min_lr=min_lr,
    )
    expected = torch_rates(
        0.1,
        lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="min" if monitor == "val_loss" else "max",
            factor=factor,
            patience=patience,
            threshold=threshold,
            threshold_mode="abs",
            min_lr=min_lr,
            eps=0.0,
        ),
        metrics,
        epochs=len(metrics),
    )
    history = [{monitor: value} for value in metrics]
    ours = our_rates(schedule, 0.1, history, len(metrics))
    assert ours == pytest.approx(expected, rel=1e-12, abs=0)


def test_plateau_looks_only_at_epochs_before_the_asked_one() -> None:
    schedule = Plateau(name="plateau", patience=0)
    history = [{"val_loss": 1.0}] * 9
    assert schedule.lr_at(1.0, 2, 9, history) == schedule.lr_at(1.0, 2, 9, history[:1]) == 1.0
    assert schedule.lr_at(1.0, 3, 9, history) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(name="constant"),
        Step(name="step", step_size=1, gamma=0.5),
        Step(name="step", step_size=7, gamma=0.5),
        Step(name="step", step_size=60),
        Step(name="step", step_size=200),
        MultiStep(name="multistep", milestones=(5, 20, 60, 61)),
        MultiStep(name="multistep", milestones=(70,)),
        Constant(name="constant", warmup=5),
        Constant(name="constant", warmup=90),
        Step(name="step", step_size=1, gamma=0.5, warmup=7),
        Step(name="step", step_size=7, warmup=3),
        MultiStep(name="multistep", milestones=(2, 20), warmup=4),
    ],
)
def test_phases_begin_at_the_first_epoch_and_agree_with_the_rates(schedule) -> None:
    phases = schedule.phases(0.1, EPOCHS)
    firsts = [first for first, _ in phases]
    assert firsts[0] == 1
    assert firsts == sorted(set(firsts))
    assert firsts[-1] <= EPOCHS
    for epoch, rate in enumerate(our_rates(schedule, 0.1), start=1):
        values = [values for first, values in phases if first <= epoch][-1]
        assert values == {"lr": rate}


def test_neighbours_of_one_rate_are_one_phase() -> None:
    step = Step(name="step", step_size=1, gamma=0.5, warmup=2)
    assert step.phases(3.0, 4) == [(1, {"lr": 1.0}), (3, {"lr": 0.75}), (4, {"lr": 0.375})]
    flat = MultiStep(name="multistep", milestones=(2, 4), gamma=1.0)
    assert flat.phases(3.0, 9) == Constant(name="constant").phases(3.0, 9)


@pytest.mark.parametrize("name", ["cosine", "plateau"])
def test_warmup_is_in_a_rule_only_when_there_is_one(name: str) -> None:
    kind = {"cosine": Cosine, "plateau": Plateau}[name]
    ((_, plain),), ((_, warmed),) = (kind(name=name, warmup=n).phases(0.1, 9) for n in (0, 3))
    assert warmed == {**plain, "warmup": 3}
    assert "warmup" not in plain


@pytest.mark.parametrize("schedule", [Cosine(name="cosine"), Plateau(name="plateau")])
def test_rule_is_one_phase(schedule) -> None:
    ((first, rule),) = schedule.phases(0.1, EPOCHS)
    assert first == 1
    assert rule["rule"] == schedule.name
    assert rule["lr"] == 0.1


def test_horizon_is_in_the_rule_of_cosine_only() -> None:
    cosine, plateau = Cosine(name="cosine"), Plateau(name="plateau")
    assert cosine.phases(0.1, 10) != cosine.phases(0.1, 20)
    assert plateau.phases(0.1, 10) == plateau.phases(0.1, 20)


def test_shorter_step_training_has_the_first_phases_of_a_longer_one() -> None:
    schedule = Step(name="step", step_size=5)
    long = schedule.phases(0.1, 20)
    assert schedule.phases(0.1, 12) == long[:3]


@pytest.mark.parametrize("field", ["factor", "patience", "threshold", "min_lr", "monitor"])
def test_every_setting_of_plateau_is_in_its_rule(field: str) -> None:
    other = {
        "factor": 0.7,
        "patience": 3,
        "threshold": 0.5,
        "min_lr": 0.01,
        "monitor": "val_accuracy",
    }
    changed = Plateau(name="plateau", **{field: other[field]})
    assert changed.phases(0.1, 9) != Plateau(name="plateau").phases(0.1, 9)


def test_cosine_starts_at_the_base_rate() -> None:
    assert math.isclose(Cosine(name="cosine").lr_at(0.25, 1, 40, ()), 0.25)
