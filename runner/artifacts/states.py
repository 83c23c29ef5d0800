"""States of trainings on the disk, and checkpoints, which are states of trainings at work.

Owns which there are, and what can be told of them without their tensors. Knows neither what is in
the tensors nor from which state a training goes on; how one lies in its folder is said beside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.artifacts.exchange import described_elsewhere, elsewhere, names_elsewhere
from runner.artifacts.folder import CHECKPOINT, Artifacts, names_in
from runner.artifacts.state_folder import (
    describe_state,
    read_description,
    remove_unfinished_files,
    steps_of,
)
from runner.core.artifacts import (
    WITHIN,
    ArtifactName,
    checkpoint_name,
    checkpoint_names,
    kind_of,
    state_name,
)
from runner.core.plan import ResumePoint
from runner.core.records import EpochRange

MOST_CHECKPOINTS = 256
"""Of more in a shared store, only a training's own are looked at."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """A folder with a state.

    Attributes:
        folder: where it lies.
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        stage: key of the training whose checkpoint it is, "" when kept for others.
        steps: of the next epoch that were taken. Then the segment is that epoch's.
    """

    folder: Path
    segment: str
    epoch: int
    stage: str = ""
    steps: int = 0

    @property
    def name(self) -> str:
        """Its artifact name."""
        if self.stage:
            return checkpoint_name(self.stage, within=self.steps > 0)
        return state_name(self.segment, self.epoch)


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Weights that lie in a state or a checkpoint.

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


def remove_unfinished(artifacts: Artifacts) -> None:
    """Remove what dead processes have left of states that were to be kept for others."""
    for folder in _folders(artifacts.home("states")):
        remove_unfinished_files(folder)


def every_state(artifacts: Artifacts) -> Iterator[StoredState]:
    """Yield the states that were kept for others, and the checkpoints, also those within epochs."""
    for folder in _folders(artifacts.home("states")):
        try:
            state = ArtifactName.parse(state_name_of(folder))
        except ValueError:
            continue
        yield StoredState(folder, state.key, state.epoch)
    for folder in _folders(artifacts.home("checkpoints")):
        values = describe_state(folder)
        checkpoint = None if values is None else _checkpoint(folder, values)
        if checkpoint is not None and artifacts.path(checkpoint.name) == folder:
            yield checkpoint


def stored_states(artifacts: Artifacts) -> Iterator[StoredState]:
    """Yield those of all states that lie after an epoch: of others, plans can tell nothing."""
    return (each for each in every_state(artifacts) if not each.steps)


def _checkpoint(folder: Path, values: Mapping[str, Any]) -> StoredState:
    place = values["segment"], values["epoch"]
    return StoredState(folder, *place, _training_of(folder), steps_of(values))


def _training_of(folder: Path) -> str:
    """Return the key of the training, or analysis, whose checkpoint is in a folder."""
    try:
        return ArtifactName.parse(f"checkpoints/{folder.name}").key
    except ValueError:
        return folder.name


def state_name_of(folder: Path) -> str:
    """Return the artifact name of the state that is kept in a folder."""
    return f"states/{folder.name}"


def _folders(home: Path) -> list[Path]:
    return [home / name for name in names_in(home)]


def names_of_states(artifacts: Artifacts) -> frozenset[str]:
    """Return the artifact names of the states that were kept and seem whole, here or shared."""
    folders = _folders(artifacts.home("states"))
    here = {state_name_of(each) for each in folders if (each / CHECKPOINT).is_file()}
    return frozenset(here | names_elsewhere(artifacts, "states"))


def readers_of_checkpoints(artifacts: Artifacts) -> dict[str, list[str]]:
    """Return the readers that each checkpoint is for, by the key of its training."""
    readers: dict[str, list[str]] = {}
    for folder in _folders(artifacts.home("checkpoints")):
        values, key = describe_state(folder), _training_of(folder)
        readers[key] = readers.get(key) or ([] if values is None else list(values["readers"]))
    return readers


def stored_weights(artifacts: Artifacts, segments: Collection[str]) -> Iterator[StoredWeights]:
    """Yield the weights in the states and checkpoints on paths with these segments."""
    for state, values in _on_segments(artifacts, segments):
        yield StoredWeights(
            name=state.name,
            segment=state.segment,
            epoch=state.epoch,
            epochs=tuple(sorted({*values["best_epochs"], state.epoch})),
            waiting=frozenset(values["readers"] if state.stage else ()),
            ranges=[EpochRange(*each) for each in values["reads"]],
            inputs=values["inputs"],
            limit=values["diverged_if"],
        )


def resume_points(
    artifacts: Artifacts, segments: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[ResumePoint]:
    """Yield from what trainings whose paths have these segments may perhaps go on.

    Args:
        artifacts: of the database.
        segments: the numerics of each by its key; what was made under others is left out. None
            leaves nothing out.
    """
    for state, values in _on_segments(artifacts, segments):
        if segments[state.segment] in (None, values["numerics"]):
            written = {name for name in values["written"] if artifacts.path(name).exists()}
            written |= elsewhere(artifacts, values["written"].keys() - written)
            yield ResumePoint(
                segment=state.segment,
                epoch=state.epoch,
                stage=state.stage,
                history=values["history"],
                kept=frozenset(values["best_epochs"]),
                written=frozenset(written),
                limit=values["diverged_if"],
            )


def _on_segments(
    artifacts: Artifacts, segments: Collection[str]
) -> Iterator[tuple[StoredState, Mapping[str, Any]]]:
    here: dict[str, int] = {}
    for state in stored_states(artifacts):
        values = describe_state(state.folder) if state.segment in segments else None
        if values is not None:
            here[state.name] = state.epoch
            yield state, values
    for state, values in states_elsewhere(artifacts, segments, within=False):
        if state.epoch > here.get(state.name, 0):
            yield state, values


def states_elsewhere(
    artifacts: Artifacts,
    segments: Collection[str],
    own: str = "",
    fresh: bool = False,
    within: bool = True,
) -> Iterator[tuple[StoredState, Mapping[str, Any]]]:
    """Yield the states and checkpoints in the shared store on paths with these segments.

    Each comes with what it says of itself; its folder is where it would lie here.

    Args:
        artifacts: of the database.
        segments: their keys.
        own: key of a training whose checkpoints are looked at however many there are.
        fresh: as they are now, and not as they were some seconds ago.
        within: also those within epochs.
    """
    names = {name for name in names_elsewhere(artifacts, "states", fresh) if _on(name, segments)}
    checkpoints = names_elsewhere(artifacts, "checkpoints", fresh)
    if not within:
        checkpoints = {name for name in checkpoints if not name.endswith(f"-{WITHIN}")}
    if len(checkpoints) > MOST_CHECKPOINTS:
        checkpoints &= {*checkpoint_names(own)} if own else set()
    for name, text in described_elsewhere(artifacts, sorted(names | checkpoints)).items():
        values = read_description(text)
        if values is not None and values["segment"] in segments:
            folder = artifacts.path(name)
            state = StoredState(folder, values["segment"], values["epoch"])
            if kind_of(name) == "checkpoints":
                state = _checkpoint(folder, values)
            if state.name == name:
                yield state, values


def _on(name: str, segments: Collection[str]) -> bool:
    try:
        return ArtifactName.parse(name).key in segments
    except ValueError:
        return False
