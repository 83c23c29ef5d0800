"""Trajectories: their epochs, their states, and what two of them have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from stages import segments

from runner.core.trajectory import Segment, Trajectory

TWO = segments(("x", 10), ("y", 5))


def test_an_empty_trajectory_ends_before_its_first_epoch() -> None:
    assert Trajectory(()).last_epoch == 0
    assert Trajectory(()).segment_at(1) is None


@pytest.mark.parametrize(
    ("epoch", "state"), [(1, "states/x-1"), (10, "states/x-10"), (11, "states/y-11")]
)
def test_a_state_is_named_by_segment_and_epoch(epoch: int, state: str) -> None:
    assert TWO.state_at(epoch) == state
    key, _, number = state.removeprefix("states/").rpartition("-")
    assert TWO.contains(key, int(number))


@pytest.mark.parametrize("epoch", [0, 16])
def test_an_epoch_outside_has_no_state(epoch: int) -> None:
    with pytest.raises(ValueError, match=f"no epoch {epoch} in a trajectory of 15"):
        TWO.state_at(epoch)
    assert not TWO.contains("x", epoch)
    assert not TWO.contains("y", epoch)


def test_a_segment_holds_its_own_epochs_alone() -> None:
    assert not TWO.contains("x", 11)
    assert not TWO.contains("y", 10)


@pytest.mark.parametrize(
    ("other", "common"),
    [
        (segments(("x", 10), ("y", 5)), 15),
        (segments(("x", 10), ("y", 2)), 12),
        (segments(("x", 4)), 4),
        (segments(("x", 12)), 10),
        (segments(("x", 10), ("z", 5)), 10),
        (segments(("x", 7), ("z", 5)), 7),
        (segments(("z", 15)), 0),
    ],
)
def test_common_epochs_end_where_either_goes_its_own_way(other: Trajectory, common: int) -> None:
    assert TWO.common_epochs(other) == other.common_epochs(TWO) == common


PIECES = some.lists(some.integers(1, 4), min_size=1, max_size=4).map(
    lambda lengths: segments(*((f"s{number}", each) for number, each in enumerate(lengths)))
)


@given(PIECES, some.integers(1, 20))
def test_a_beginning_has_the_states_of_the_whole(whole: Trajectory, epoch: int) -> None:
    part = whole.upto(epoch)
    assert part.last_epoch == min(epoch, whole.last_epoch)
    assert part.common_epochs(whole) == part.last_epoch
    for each in range(1, part.last_epoch + 1):
        assert part.state_at(each) == whole.state_at(each)
    assert part.upto(epoch) == part


@given(PIECES)
def test_a_trajectory_comes_back_from_json(whole: Trajectory) -> None:
    assert Trajectory.from_json(whole.to_json()) == whole
    assert whole.to_json()[0] == {
        "key": "s0",
        "first_epoch": 1,
        "num_epochs": whole.segments[0].num_epochs,
    }
    assert isinstance(whole.segments[0], Segment)
