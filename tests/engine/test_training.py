"""The loop does what a loop written by hand does, and measures what it says it measures."""

from pathlib import Path

import pytest
import torch
from benches import CPU, Bench, plain_records, reading_of, settings_of
from torch.nn import functional

import runner.engine.training.loop as train_module
import runner.engine.training.retention as keeping
from runner.core.keys import keyed_seed
from runner.engine.network.build import build_network

DROPPING = {"name": "mlp", "hidden": [12], "batch_norm": True, "dropout": 0.3}
CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True}


def fresh_network(bench: Bench) -> torch.nn.Module:
    images = bench.images()
    return build_network(bench.settings, images.shape, len(images.classes), CPU).module


def by_hand(bench: Bench) -> list[dict[str, float]]:
    """Train with the plainest loop there is; return the metrics of each epoch."""
    settings, images = bench.settings, bench.images()
    network = fresh_network(bench)
    chosen = settings.train.optimizer
    optimizer = torch.optim.SGD(network.parameters(), lr=chosen.lr, momentum=chosen.momentum)
    found = []
    for epoch in range(1, settings.train.epochs + 1):
        generator = torch.Generator().manual_seed(keyed_seed(settings.seed, "order", epoch))
        order = images.splits["train"][torch.randperm(36, generator=generator)]
        network.train()
        loss_sum = correct = 0.0
        for step, indices in enumerate(order.split(settings.train.batch_size), start=1):
            inputs, labels = images.gather(indices)
            torch.manual_seed(keyed_seed(settings.seed, "dropout", epoch, step))
            logits = network(inputs)
            loss = functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
        measured = {"train_loss": loss_sum / 36, "train_accuracy": correct / 36}
        found.append({**measured, **evaluated(network, images, "val")})
    return found


def evaluated(network: torch.nn.Module, images, split: str, name: str = "") -> dict[str, float]:
    """Evaluate a split in one batch, in float64 from the logits on."""
    network.eval()
    with torch.no_grad():
        inputs, labels = images.gather(images.splits[split])
        logits = network(inputs).double()
    name = name or split
    return {
        f"{name}_loss": functional.cross_entropy(logits, labels).item(),
        f"{name}_accuracy": (logits.argmax(1) == labels).double().mean().item(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("model", [DROPPING, CONVNET], ids=["mlp", "convnet"])
@pytest.mark.parametrize("batch_size", [12, 10])
def test_training_is_the_loop_written_by_hand(model, batch_size: int, tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of({"batch_size": batch_size}, model))
    outcome = bench.train()
    for epoch, expected in enumerate(by_hand(bench)):
        found = {name: bench.metric(outcome, name)[epoch] for name in expected}
        assert found == pytest.approx(expected, rel=1e-5)


def test_the_kept_weights_are_those_of_the_first_best_epoch(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of({"epochs": 6}))
    outcome = bench.train()
    accuracies = bench.metric(outcome, "val_accuracy")
    best = accuracies.index(max(accuracies)) + 1
    assert reading_of(outcome)["best_epoch"] == best
    network = fresh_network(bench)
    network.load_state_dict(bench.weights())
    measured = evaluated(network, bench.images(), "val")
    assert measured["val_accuracy"] == pytest.approx(max(accuracies))
    assert measured["val_loss"] == pytest.approx(bench.metric(outcome, "val_loss")[best - 1])


@pytest.mark.parametrize(("monitor", "pick"), [("val_loss", min), ("train_accuracy", max)])
def test_the_best_epoch_follows_the_monitor(monitor: str, pick, tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of({"epochs": 6, "best": {"monitor": monitor}}))
    outcome = bench.train()
    values = bench.metric(outcome, monitor)
    assert reading_of(outcome)["best_epoch"] == values.index(pick(values)) + 1


def test_the_test_images_are_evaluated_on_the_kept_weights(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of({"epochs": 4}, CONVNET))
    outcome = bench.train()
    tested = bench.do("evaluate", 2, outcome)
    network = fresh_network(bench)
    network.load_state_dict(bench.weights())
    measured = {f"{each.split}_{each.name}": each.value for each in tested.measured}
    assert measured == pytest.approx(evaluated(network, bench.images(), "test"), rel=1e-5)
    best = reading_of(outcome)["best_epoch"]
    assert [each.epoch for each in tested.measured] == [best, best]
    assert tested.values["reads"] == [[2, best, best]]


def test_an_evaluation_in_many_batches_is_the_one_in_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, settings_of({"epochs": 1}))
    outcome = bench.train()
    monkeypatch.setattr("runner.engine.data.samples.evaluation_batch_size", lambda shape, device: 5)
    again = Bench(tmp_path / "small", bench.settings)
    assert again.metric(again.train(), "val_loss") == pytest.approx(
        bench.metric(outcome, "val_loss"), rel=1e-6
    )


def test_last_tests_the_last_epochs_weights(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of({"epochs": 5}, evaluate={"test": "last"}))
    outcome = bench.train()
    tested = bench.do("evaluate", 2, outcome)
    assert [each.epoch for each in tested.measured] == [5, 5]
    network = fresh_network(bench)
    network.load_state_dict(bench.weights("last"))
    measured = {f"{each.split}_{each.name}": each.value for each in tested.measured}
    assert measured == pytest.approx(evaluated(network, bench.images(), "test"), rel=1e-5)
    kept = {each.name.partition("-")[2] for each in outcome.produced}
    assert kept == {"best", "last", "best-val", "last-val"}


def test_each_epoch_measures_the_test_images_while_training(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of(evaluate={"test": "each_epoch"}))
    outcome = bench.train()
    assert len(bench.metric(outcome, "test_accuracy")) == 3
    assert [stage.kind for stage in bench.chain] == ["prepare", "train"]


def test_never_measures_no_test_image(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of(evaluate={"test": "never"}))
    outcome = bench.train()
    assert bench.metric(outcome, "test_accuracy") == []
    assert [stage.kind for stage in bench.chain] == ["prepare", "train"]


def test_train_eval_measures_all_training_images_in_eval_mode(tmp_path: Path) -> None:
    settings = settings_of(
        {"epochs": 2, "best": {"monitor": "last"}}, DROPPING, evaluate={"train_eval": "full"}
    )
    bench = Bench(tmp_path, settings)
    outcome = bench.train()
    network = fresh_network(bench)
    network.load_state_dict(bench.weights())
    expected = evaluated(network, bench.images(), "train", "train_eval")
    found = {name: bench.metric(outcome, name)[-1] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)
    assert found["train_eval_loss"] != pytest.approx(bench.metric(outcome, "train_loss")[-1])


def test_evaluations_do_not_change_the_training(tmp_path: Path) -> None:
    plain = Bench(tmp_path / "a", settings_of(model=DROPPING))
    measured = settings_of(model=DROPPING, evaluate={"train_eval": "full", "test": "each_epoch"})
    full = Bench(tmp_path / "b", measured)
    plain.train(), full.train()
    assert full.digest() == plain.digest()


@pytest.mark.slow
def test_early_stopping_ends_before_the_budget_and_a_longer_one_starts_alike(
    tmp_path: Path,
) -> None:
    rule = {"monitor": "val_accuracy", "patience": 2}
    short = Bench(tmp_path / "a", settings_of({"epochs": 40, "early_stopping": rule}))
    outcome = short.train()
    last = reading_of(outcome)["last_epoch"]
    assert reading_of(outcome)["stopped_early"]
    assert last < 40
    longer = Bench(tmp_path / "b", settings_of({"epochs": last + 2}))
    records = longer.read(longer.train())
    assert plain_records(records[:last]) == plain_records(short.read(outcome))


def losses(folder: Path, train=None, **others) -> list[tuple[float, ...]]:
    bench = Bench(folder, settings_of(train, **others))
    return [record.step_losses for record in bench.read(bench.train())]


@pytest.mark.slow
def test_equal_settings_train_alike_and_another_seed_does_not(tmp_path: Path) -> None:
    first = losses(tmp_path / "a", model=DROPPING)
    torch.manual_seed(99)
    assert losses(tmp_path / "b", model=DROPPING) == first
    assert losses(tmp_path / "c", model=DROPPING, seed=1)[0][0] != first[0][0]


@pytest.mark.slow
def test_label_smoothing_raises_the_training_loss_alone(tmp_path: Path) -> None:
    smoothed = {"loss": {"name": "cross_entropy", "label_smoothing": 0.3}}
    assert losses(tmp_path / "a", smoothed)[0][0] != losses(tmp_path / "b")[0][0]
    bench = Bench(tmp_path / "c", settings_of({**smoothed, "epochs": 1}))
    outcome = bench.train()
    network = fresh_network(bench)
    network.load_state_dict(bench.weights())
    expected = evaluated(network, bench.images(), "val")["val_loss"]
    assert bench.metric(outcome, "val_loss") == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.slow
def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    plain = {"optimizer": {"name": "sgd", "lr": 1.0}, "epochs": 1, "batch_size": 36}
    moved = {}
    for name, extra in {"free": {}, "clipped": {"clip_grad_norm": 0.01}}.items():
        bench = Bench(tmp_path / name, settings_of({**plain, **extra}))
        before = fresh_network(bench).state_dict()
        bench.train()
        after = bench.weights()
        moved[name] = sum(float((after[key] - before[key]).square().sum()) for key in after) ** 0.5
    assert moved["clipped"] == pytest.approx(0.01, rel=1e-3)
    assert moved["free"] > 0.02


@pytest.mark.slow
def test_bf16_trains_with_other_losses_and_fp32_weights(tmp_path: Path) -> None:
    exact = losses(tmp_path / "a", {"epochs": 4}, model=CONVNET)
    bench = Bench(tmp_path / "b", settings_of({"epochs": 4, "precision": "bf16"}, CONVNET))
    outcome = bench.train()
    rounded = [record.step_losses for record in bench.read(outcome)]
    assert rounded != exact
    assert rounded[0][0] == pytest.approx(exact[0][0], rel=0.05)
    assert rounded[-1][-1] < rounded[0][0]
    assert {each.dtype for each in bench.weights().values()} == {torch.float32, torch.int64}


def test_the_random_state_of_the_caller_does_not_matter_for_the_network(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of())
    before = torch.random.get_rng_state()
    first = fresh_network(bench).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    for name, tensor in fresh_network(bench).state_dict().items():
        assert torch.equal(tensor, first[name])


WAITS = ("item", "__float__", "__int__", "__bool__", "__index__", "tolist", "numpy", "cpu")
"""What makes the program wait for the device."""


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"clip_grad_norm": 1.0}, {"precision": "bf16"}])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_no_step_waits_for_the_device(
    optimizer: str, extra: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "POLL_SECONDS", 1e9)
    calls: list[str] = []

    def pluralize(name: str, real):
        def call(*args, **kwargs):
            calls.append(name)
            return real(*args, **kwargs)

        return call

    counts = {}
    for batch_size in (12, 1):
        train = {"optimizer": {"name": optimizer}, "epochs": 1, "batch_size": batch_size, **extra}
        bench = Bench(tmp_path / str(batch_size), settings_of(train))
        bench.do("prepare")
        with monkeypatch.context() as patch:
            for name in WAITS:
                patch.setattr(torch.Tensor, name, pluralize(name, getattr(torch.Tensor, name)))
            # the state at the end is moved to the CPU once, whatever the number of steps
            patch.setattr(keeping, "save_checkpoint", lambda *args: None)
            calls.clear()
            outcome = bench.do("train")
        assert len(bench.read(outcome)[0].step_losses) == 36 // batch_size
        counts[batch_size] = [name for name in calls if name != "__float__"]
        floats = calls.count("__float__")
        assert floats <= 36 // batch_size + 4  # of the losses, moved to the CPU in one go
    assert counts[1] == counts[12]
    assert counts[1].count("cpu") < 12


def test_a_due_poll_tells_where_the_epoch_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "POLL_SECONDS", 0.0)
    told = []
    bench = Bench(tmp_path, settings_of({"epochs": 2}), options={"on_progress": told.append})
    outcome = bench.train()
    told = [progress for progress in told if progress.epoch]
    assert [(each.epoch, each.split, each.done, each.total) for each in told] == [
        here
        for epoch in (1, 2)
        for here in [*((epoch, "", step, 3) for step in (1, 2, 3)), (epoch, "val", 12, 12)]
    ]
    first = bench.metric(outcome, "val_accuracy")[0]
    assert [each.val_accuracy for each in told] == [None] * 4 + [first] * 4
    told = [each for each in told if not each.split]
    assert told[-1].loss == pytest.approx(bench.metric(outcome, "train_loss")[-1])
    assert told[-1].accuracy == pytest.approx(bench.metric(outcome, "train_accuracy")[-1])


def test_a_test_tells_how_many_images_are_done(tmp_path: Path) -> None:
    told = []
    bench = Bench(tmp_path, settings_of({"epochs": 1}), options={"on_progress": told.append})
    bench.do("evaluate", parent=bench.train())
    assert (told[-1].split, told[-1].done, told[-1].total) == ("test", 12, 12)
