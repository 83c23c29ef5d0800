"""What lies on the disk from which trainings may go on, or be read: states and checkpoints.

Owns where they lie and what can be told of them without their tensors. Decides nothing about what
is gone on from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.artifacts.folder import Artifacts
from runner.core.artifacts import ArtifactName
from runner.core.plan import ResumePoint
from runner.core.records import EpochRange
from runner.engine.training.checkpoint import describe_checkpoint


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a state.

    Attributes:
        folder: where it lies.
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        stage: key of the training whose checkpoint it is, "" when kept for others.
    """

    folder: Path
    segment: str
    epoch: int
    stage: str = ""


def kept_states(folder: Path, database: str) -> Iterator[Place]:
    """Yield the states of a database (by its identity) in ``.runner/``."""
    home = Artifacts(folder, database).home("states")
    for each in home.iterdir() if home.is_dir() else ():
        try:
            state = ArtifactName.parse(f"states/{each.name}")
        except ValueError:
            continue
        yield Place(each, state.key, state.epoch)


def checkpoints(folder: Path, database: str) -> Iterator[Place]:
    """Yield the checkpoints of a database (by its identity) in ``.runner/``."""
    home = Artifacts(folder, database).home("checkpoints")
    for each in home.iterdir() if home.is_dir() else ():
        values = describe_checkpoint(each)
        if values is not None:
            yield Place(each, values["segment"], values["epoch"], each.name)


@dataclass(frozen=True, slots=True)
class Kept:
    """Weights that lie beside a state or a checkpoint.

    Attributes:
        name: of its artifact.
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        epochs: whose weights it has, its own last among them.
        waiting: readers of the training that goes on from it, of a checkpoint.
        ranges: which epochs of which attempts lead to it.
        inputs: digests of what was trained on.
        limit: the limit of divergence under which it was made.
    """

    name: str
    segment: str
    epoch: int
    epochs: tuple[int, ...]
    waiting: frozenset[str]
    ranges: Sequence[EpochRange]
    inputs: Mapping[str, str]
    limit: float


def kept_weights(folder: Path, database: str, segments: Collection[str]) -> Iterator[Kept]:
    """Yield what lies beside the states and checkpoints on paths with these segments.

    Args:
        folder: ``.runner/``.
        database: its identity.
        segments: keys.
    """
    for place in (*kept_states(folder, database), *checkpoints(folder, database)):
        values = describe_checkpoint(place.folder) if place.segment in segments else None
        if values is not None:
            yield Kept(
                name=f"{place.folder.parent.parent.name}/{place.folder.name}",
                segment=place.segment,
                epoch=place.epoch,
                epochs=tuple(sorted({*values["best_epochs"], place.epoch})),
                waiting=frozenset(values["readers"] if place.stage else ()),
                ranges=[EpochRange(*each) for each in values["reads"]],
                inputs=values["inputs"],
                limit=values["diverged_if"],
            )


def resume_points(
    folder: Path,
    database: str,
    segments: Collection[str],
    numerics: Mapping[str, Any] | None,
) -> Iterator[ResumePoint]:
    """Yield from what trainings whose paths have these segments may perhaps go on.

    Args:
        folder: ``.runner/``.
        database: its identity.
        segments: keys.
        numerics: what was made under others is left out; None leaves nothing out.
    """
    for place in (*kept_states(folder, database), *checkpoints(folder, database)):
        values = describe_checkpoint(place.folder) if place.segment in segments else None
        if values is not None and (numerics is None or values["numerics"] == dict(numerics)):
            yield ResumePoint(
                segment=place.segment,
                epoch=place.epoch,
                stage=place.stage,
                history=values["history"],
                kept=frozenset(values["best_epochs"]),
                written=frozenset(
                    name
                    for name in values["written"]
                    if Artifacts(folder, database).path(name).exists()
                ),
                limit=values["diverged_if"],
            )
