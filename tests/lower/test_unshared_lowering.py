"""Runs that may share nothing have trainings of their own; all others keep their keys."""

from typing import Any

from runner.components.settings import Settings
from runner.core.sharing import SHARED, Unshared
from runner.core.stages import Train
from runner.core.stored_stages import stage_from_json
from runner.lower.stages import make_run, naive_chain

ALONE = Unshared("it remembers")


def training(unshared: Unshared = SHARED, rerun: int = 0, **train: Any) -> Train:
    """Return the training of a run of digits."""
    settings = Settings.model_validate(
        {"data": {"dataset": "digits"}, "model": {"name": "mlp"}, "train": train}
    )
    chain = naive_chain(make_run(settings, "data"), settings, rerun, unshared=unshared)
    (stage,) = (stage for stage in chain if isinstance(stage, Train))
    return stage


def test_runs_that_begin_alike_have_nothing_in_common_where_they_may_not_share() -> None:
    short, long = (training(epochs=epochs).trajectory for epochs in (2, 3))
    assert short.common_epochs(long) == 2
    alone = [training(ALONE, epochs=epochs).trajectory for epochs in (2, 3)]
    assert alone[0].common_epochs(alone[1]) == 0
    assert alone[0].common_epochs(short) == 0
    again = training(ALONE, epochs=2)
    assert again.trajectory == alone[0]
    assert again.key != training(ALONE, rerun=1, epochs=2).key
    assert (again.stream, again.state_bytes) == ("", 0)


def test_what_keeps_features_from_sharing_changes_no_key() -> None:
    for unshared in (Unshared(images="mixes"), Unshared(features="draws")):
        found = training(unshared)
        assert found.key == training().key
        assert found.stream == training().stream
        assert found.to_json() == training().to_json()


def test_why_a_training_is_done_alone_is_stored_with_it() -> None:
    stage = training(ALONE)
    stored = stage_from_json("train", stage.key, stage.to_json(), stage.needs, stage.cost_key)
    assert isinstance(stored, Train)
    assert stored.unshared == ALONE
    assert "unshared" not in training().to_json()
