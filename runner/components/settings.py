"""All settings of one training, as pydantic validates them.

Owns the fields of `data`, `model`, `train`, `evaluate` and `seed`, their defaults, and what a run
measures by itself. Which settings do not go together: see `contradictions`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, model_validator

from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import MAX_NUMBER, Component
from runner.components.data import Data
from runner.components.data.splitting import Split
from runner.components.losses import CrossEntropy, Loss
from runner.components.measures import (
    SUMMED,
    Monitor,
    SummedMeasure,
    TrainingMonitor,
    measure_of,
    mode_of,
)
from runner.components.models import Model
from runner.components.optimizers import Adam, Optimizer
from runner.components.schedules import MAX_EPOCHS, Constant, Schedule
from runner.components.training_step import Step
from runner.core.reader import LAST

Mode = Literal["min", "max"]
Precision = Literal["fp32", "tf32", "bf16"]
Sampling = Literal["shuffled", "balanced"]


class Monitoring(Component):
    """A monitored metric; the mode follows from it unless given."""

    @model_validator(mode="before")
    @classmethod
    def _fill_mode(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "mode" in values:
            return values
        monitor = values.get("monitor", cls.model_fields["monitor"].default)
        return {**values, "mode": mode_of(monitor)}


class EarlyStopping(Monitoring):
    """Stop once the monitor has not improved for `patience` epochs."""

    monitor: TrainingMonitor = Field("val_loss", description="metric that is watched")
    mode: Mode = Field("min", description="what is better; when not given, as the metric is")
    patience: int = Field(
        10, ge=1, le=MAX_EPOCHS, description="epochs without improvement before stopping"
    )
    tolerance: float = Field(
        0.0, ge=0, le=MAX_NUMBER, description="a change of at most this much is no improvement"
    )


class Best(Monitoring):
    """Which epoch's weights are kept and tested: the first with the best monitor."""

    monitor: Monitor = Field(
        "val_accuracy",
        description="metric that is watched, or `last` for the last epoch; where nothing is"
        " written and `data.validation` is 0, it is `last`",
    )
    mode: Mode = Field("max", description="what is better; when not given, as the metric is")


class Training(Component):
    """How the network is trained."""

    epochs: int = Field(10, ge=1, le=MAX_EPOCHS, description="the most passes over the images")
    batch_size: int = Field(128, ge=1, le=10_000_000, description="images per step")
    drop_last: bool = Field(False, description="leave out an incomplete last batch")
    sampling: Sampling = Field(
        "shuffled",
        description="an epoch shows each training image once; balanced: as many images, each drawn"
        " with replacement from a class that is drawn first, all classes being as likely",
        json_schema_extra={"neutral": "shuffled"},
    )
    optimizer: Optimizer = Field(default=Adam(name="adam"), description="how weights are updated")
    schedule: Schedule = Field(
        default=Constant(name="constant"), description="learning rate by epoch"
    )
    loss: Loss = Field(default=CrossEntropy(name="cross_entropy"), description="what is minimised")
    step: Step = Field(
        None,
        description="a class in a Python file that updates the weights by a batch, as"
        " `steps.py:Sam`; when not given, one gradient of `loss`",
        json_schema_extra={"neutral": None},
    )
    augment: Pipeline | None = Field(
        None,
        description="what happens to training images before `data.normalize`: a list of steps, or"
        " {p, steps}",
        json_schema_extra={"neutral": None},
    )
    clip_grad_norm: float | None = Field(
        None, gt=0, le=MAX_NUMBER, description="largest norm of all gradients together"
    )
    early_stopping: EarlyStopping | None = Field(None, description="stop before `epochs`")
    best: Best = Field(default=Best(), description="which epoch's weights are kept")
    precision: Precision = Field(
        "fp32",
        description="bf16 computes forward passes in bfloat16 (autocast); tf32 lets a CUDA GPU"
        " round the factors of products to TF32, and is fp32 elsewhere",
    )
    diverged_if: float = Field(
        20.0,
        gt=1,
        le=MAX_NUMBER,
        description="ten steps' mean loss above this times the first epoch's mean has diverged",
    )

    def num_views(self) -> int | None:
        """Return how many different images training makes of one, None where that is not fixed.

        A step of the user's own may make any.
        """
        if self.step is not None:
            return None
        return 1 if self.augment is None else self.augment.num_views()


class Evaluation(Component):
    """What is measured beside the running averages of training, and when."""

    train_eval: Literal["none", "full"] = Field(
        "none", description="full: all training images are evaluated after each epoch"
    )
    test: Literal["never", "best", "last", "each_epoch"] = Field(
        "best",
        description="epochs whose weights are evaluated on the test images; where nothing is"
        " written and `data.test` is 0, it is `never`",
    )


class Settings(Component):
    """Everything that decides a training's result."""

    data: Data = Field(description="the images, their preprocessing and splits")
    model: Model = Field(description="the network")
    train: Training = Field(default=Training(), description="how it is trained")
    evaluate: Evaluation = Field(default=Evaluation(), description="what is measured, and when")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="initialisation, order, augmentation and dropout"
    )


def monitors(settings: Settings) -> dict[str, str]:
    """Return the metrics that such a run watches, by the dotted path of the setting."""
    train = settings.train
    watched: dict[str, str] = {"train.best.monitor": train.best.monitor}
    if train.early_stopping is not None:
        watched["train.early_stopping.monitor"] = train.early_stopping.monitor
    if train.schedule.name == "plateau":
        watched["train.schedule.monitor"] = train.schedule.monitor
    return {path: monitor for path, monitor in watched.items() if monitor != LAST}


def measures_each_epoch(settings: Settings) -> tuple[SummedMeasure, ...]:
    """Return what is measured after each epoch: the standard measures, and what is monitored.

    What tables ask for is no part of it: it would make other runs of the same trainings.
    """
    return _standard_and(tuple(monitors(settings).values()))


@lru_cache(maxsize=1 << 8)
def _standard_and(watched: tuple[str, ...]) -> tuple[SummedMeasure, ...]:
    names = {measure_of(monitor).name for monitor in watched}
    return tuple(each for each in SUMMED if each.is_standard or each.name in names)


METRIC_SPLITS: dict[str, Split] = {
    "train_eval": "train",
    "val": "val",
    "test": "test",
}
"""Which images each evaluated metric split stands for."""


def metric_split(images: str) -> str:
    """Return what metrics of the images of a split are called after."""
    return next(name for name, split in METRIC_SPLITS.items() if split == images)


def splits_each_epoch(settings: Settings) -> tuple[str, ...]:
    """Return the splits that are evaluated after each epoch, besides training's own averages."""
    splits = ["train_eval"] if settings.evaluate.train_eval == "full" else []
    splits += ["val"] if settings.data.has_validation() else []
    splits += ["test"] if settings.evaluate.test == "each_epoch" else []
    return tuple(splits)


def splits_with_logits(settings: Settings) -> tuple[str, ...]:
    """Return the splits whose logits a training keeps, of the epochs whose weights are kept."""
    return tuple(split for split in splits_each_epoch(settings) if split != "train_eval")


def evaluated_each_epoch(settings: Settings, sizes: Mapping[Split, float]) -> float:
    """Return about how many images are evaluated after each epoch, each as often as it is.

    Args:
        settings: of a run.
        sizes: images of each split.
    """
    return sum(sizes[METRIC_SPLITS[split]] for split in splits_each_epoch(settings))


def available_metrics(settings: Settings) -> tuple[str, ...]:
    """Return the full names of the metrics that every epoch of such a run has."""
    return _full_names(splits_each_epoch(settings), measures_each_epoch(settings))


@lru_cache(maxsize=1 << 8)
def _full_names(splits: tuple[str, ...], measures: tuple[SummedMeasure, ...]) -> tuple[str, ...]:
    return tuple(f"{split}_{each.name}" for split in ("train", *splits) for each in measures)


FOLLOWS = {"train.best.monitor": "data.validation", "evaluate.test": "data.test"}
"""Settings with another default where the fraction is 0 that they are measured on."""


def with_fitting_defaults(settings: Settings) -> Settings:
    """Adjust defaults that contradict the splits.

    Without validation images the last epoch is kept, unless `train.best.monitor` is written;
    without test images nothing is tested, unless `evaluate.test` is.
    """
    train, evaluate = settings.train, settings.evaluate
    if not settings.data.has_validation() and "monitor" not in train.best.model_fields_set:
        best = train.best.model_copy(update={"monitor": LAST})
        train = train.model_copy(update={"best": best})
    if not settings.data.has_test() and "test" not in evaluate.model_fields_set:
        evaluate = evaluate.model_copy(update={"test": "never"})
    if train is settings.train and evaluate is settings.evaluate:
        return settings
    return settings.model_copy(update={"train": train, "evaluate": evaluate})
