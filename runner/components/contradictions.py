"""Which settings of a run do not go together, and what would be right.

Owns the rules between settings of different components; those within one are its validators.
"""

from collections.abc import Iterator
from typing import NamedTuple

from runner.components.measures import metric_parts
from runner.components.models.timm_model import TimmModel
from runner.components.schedules import MAX_PHASES
from runner.components.settings import Settings, available_metrics, monitors


class Contradiction(NamedTuple):
    """Settings that do not go together.

    Attributes:
        paths: of these settings, first the one that is most likely wrong.
        found: what is wrong.
        allowed: what would be right.
        hint: what else to do, or "".
    """

    paths: tuple[str, ...]
    found: str
    allowed: str
    hint: str = ""


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield the settings that do not go together."""
    yield from _unmeasured(settings)
    yield from _balanced_twice(settings)
    yield from _beside_a_fold(settings)
    data, train, test = settings.data, settings.train, settings.evaluate.test
    if not data.has_test() and test != "never":
        yield Contradiction(
            ("evaluate.test", "data.test"),
            f"test images are wanted (evaluate.test: {test}), but data.test is 0",
            "evaluate.test: never, or data.test above 0",
        )
    yield from _not_the_models(settings)
    channels = 3 if data.color == "rgb" else 1
    mean = (0.0,) if data.normalize == "model" else data.normalization()[0]
    if len(mean) not in (1, channels):
        yield Contradiction(
            ("data.normalize", "data.color"),
            f"data.normalize has {len(mean)} values, but images have {channels} channels "
            f"(data.color: {data.color})",
            f"one value, or {channels}" if channels > 1 else "one value",
            "or change data.color",
        )
    floor = getattr(train.schedule, "min_lr", 0.0)
    if floor > train.optimizer.lr:
        yield Contradiction(
            ("train.schedule.min_lr", "train.optimizer.lr"),
            f"train.schedule.min_lr is {floor}, above the learning rate {train.optimizer.lr}",
            "at most train.optimizer.lr",
        )
    phases = train.schedule.num_phases(train.epochs)
    if phases > MAX_PHASES:
        yield Contradiction(
            ("train.schedule.step_size", "train.schedule.warmup", "train.epochs"),
            f"the schedule has up to {phases} learning rates in {train.epochs} epochs",
            f"at most {MAX_PHASES}",
            "use a cosine or plateau schedule, which is one rule",
        )


def _not_the_models(settings: Settings) -> Iterator[Contradiction]:
    """Yield what takes away the meaning of scaling pixels as the network's weights want it."""
    data, model = settings.data, settings.model
    if data.normalize != "model":
        return
    if not isinstance(model, TimmModel):
        yield Contradiction(
            ("data.normalize", "model"),
            "data.normalize is model, but only timm's networks say how they want pixels scaled",
            "none, half, imagenet, or {mean: [...], std: [...]}",
            "torchvision's pretrained weights want imagenet",
        )
    elif data.color != "rgb":
        yield Contradiction(
            ("data.normalize", "data.color"),
            "data.normalize is model, which is for images of three channels, but data.color is"
            f" {data.color}",
            "data.color: rgb, or another data.normalize",
        )


def _unmeasured(settings: Settings) -> Iterator[Contradiction]:
    available = available_metrics(settings)
    for path, monitor in monitors(settings).items():
        if monitor in available:
            continue
        source, how = how_to_measure(monitor)
        other = f"{path}: train_{metric_parts(monitor)[1]}"
        if path == "train.best.monitor":
            other = "train.best: {monitor: last}"
        found = f"{path} is {monitor}, which is not measured after each epoch"
        yield Contradiction((path, source), found, f"{how}, or {other}")


def _beside_a_fold(settings: Settings) -> Iterator[Contradiction]:
    """Yield a fraction that is written where a fold has its place: it would change nothing."""
    data = settings.data
    column = data.group_column()
    if data.fold is None:
        if column is not None:
            yield Contradiction(
                ("data.columns.group",),
                f"data.columns.group is {column}, but no fold is held out, and fractions take"
                " images of a group apart",
                "folds, or data.fold",
            )
        return
    split = data.fold.held_out
    if split == "test" and data.test_share() is None:
        yield Contradiction(
            ("data.fold.held_out", "data.fold"),
            f"data.fold holds out test images, but {data.dataset} says itself which these are",
            "held_out: validation",
        )
    elif split in data.model_fields_set:
        path = f"data.{split}"
        yield Contradiction(
            (path, "data.fold"),
            f"{path} is {getattr(data, split)}, but the {split} images are a fold",
            "one of them",
            f"leave {path} out",
        )


def _balanced_twice(settings: Settings) -> Iterator[Contradiction]:
    train = settings.train
    if train.sampling == "balanced" and train.loss.class_weights == "balanced":
        yield Contradiction(
            ("train.loss.class_weights", "train.sampling"),
            "train.loss.class_weights and train.sampling are both balanced, so that rare classes"
            " count too much",
            "one of them",
            "weights beside balanced sampling can be given as numbers",
        )


def how_to_measure(monitor: str) -> tuple[str, str]:
    """Return the setting that decides whether ``monitor`` is measured, and its right value."""
    if monitor.startswith("val"):
        return "data.validation", "data.validation above 0"
    if monitor.startswith("test"):
        return "evaluate.test", "evaluate.test: each_epoch"
    return "evaluate.train_eval", "evaluate.train_eval: full"
