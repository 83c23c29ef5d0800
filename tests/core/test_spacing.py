"""Some of many things, evenly spaced."""

from runner.core.spacing import evenly_spaced


def test_chosen_places_are_evenly_spaced() -> None:
    assert evenly_spaced(10, 4) == [0, 2, 5, 7]
    assert evenly_spaced(3, 5) == [0, 1, 2]
    assert evenly_spaced(0, 5) == []
