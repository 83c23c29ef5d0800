"""Made-up stages, as short as a test needs them."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.artifacts import weights_name
from runner.core.prefix import FrozenPrefix
from runner.core.reader import Reader, SelectRule
from runner.core.run import ResolvedSettings
from runner.core.stages import Analyse, Evaluate, ExtractFeatures, Prepare, Train
from runner.core.trajectory import Segment, Trajectory

NO_SETTINGS = ResolvedSettings({})
MLP = ResolvedSettings({"model": {"name": "mlp"}})


def reader(limit: float = 20.0, tested: Any = "best") -> Reader:
    """Return a reader of a training of up to 99 epochs; its last epoch is its best."""
    return Reader(99, None, SelectRule("last", "max"), tested, limit)


def prepare(key: str = "p", **others: Any) -> Prepare:
    """Return the stage that decodes the images of the same name."""
    return Prepare(
        **{
            "key": key,
            "pixels_key": key,
            "data": ResolvedSettings({"dataset": "digits"}),
            "cost_key": key,
            **others,
        }
    )


def features(key: str = "f", pixels: str = "p", **others: Any) -> ExtractFeatures:
    """Return the stage that computes a frozen prefix."""
    return ExtractFeatures(
        **{
            "key": key,
            "pixels_key": pixels,
            "prefix": FrozenPrefix(key, "flatten", (3,)),
            "settings": MLP,
            "needs": (pixels,),
            **others,
        }
    )


def train(
    key: str,
    trajectory: Trajectory | int = 3,
    pixels: str = "p",
    readers: Mapping[str, Reader] | None = None,
    **others: Any,
) -> Train:
    """Return a training of one run, from the first epoch on; a number is that many epochs."""
    if isinstance(trajectory, int):
        trajectory = Trajectory((Segment(f"s{key}", 1, trajectory),))
    return Train(
        **{
            "key": key,
            "pixels_key": pixels,
            "trajectory": trajectory,
            "readers": {key: reader()} if readers is None else readers,
            "settings": MLP,
            "needs": (pixels,),
            "cost_key": "t",
            "epochs": trajectory.last_epoch,
            **others,
        }
    )


def evaluate(key: str, training: str, pixels: str = "p", **others: Any) -> Evaluate:
    """Return the evaluation of the best weights of a run, which a training does by itself."""
    epoch = others.pop("epoch", "best")
    return Evaluate(
        **{
            "key": key,
            "pixels_key": pixels,
            "solo_key": training,
            "trainings": (training,),
            "weights": weights_name(training, epoch),
            "split": "test",
            "epoch": epoch,
            "settings": MLP,
            "needs": (pixels, training),
            "num_bytes": 0,
            **others,
        }
    )


def analyse(key: str, training: str, pixels: str = "p", **others: Any) -> Analyse:
    """Return an analysis of the best weights of a run, which a training does by itself."""
    analysis = {"name": "robustness", "weights": "best", "split": "val"}
    return Analyse(
        **{
            "key": key,
            "pixels_key": pixels,
            "solo_key": training,
            "trainings": (training,),
            "weights": weights_name(training, "best"),
            "epoch": "best",
            "settings": MLP,
            "analysis": ResolvedSettings(analysis),
            "needs": (pixels, training),
            **others,
        }
    )


def segments(*pieces: tuple[str, int]) -> Trajectory:
    """Return the trajectory of segments with these keys and numbers of epochs."""
    found: list[Segment] = []
    for key, length in pieces:
        first = found[-1].last_epoch + 1 if found else 1
        found.append(Segment(key, first, length))
    return Trajectory(tuple(found))


def keys_of(stages: Sequence[Any]) -> tuple[str, ...]:
    """Return the keys of stages."""
    return tuple(stage.key for stage in stages)
