"""Numbers of robustness as figures show them: over draws and seeds, at any number of places."""

from statistics import fmean, stdev

import pytest

from runner.core.records import AnalysisValue
from runner.report.figures.robustness import measure
from runner.report.tables.table import TableValue

PLACES = [{"transform": "none", "severity": 0}] + [
    {"transform": f"t{number}", "severity": severity}
    for number in range(100)
    for severity in range(1, 21)
]


def made(seed: int) -> list[AnalysisValue]:
    """Return accuracies of a run: of the images as they are once, else of three draws."""
    return [
        AnalysisValue("accuracy", number + seed / 10 + draw / 100, {**place, "draw": draw})
        for number, place in enumerate(PLACES)
        for draw in range(1, 4 if place["severity"] else 2)
    ]


@pytest.mark.slow
def test_numbers_of_two_thousand_places_are_means_and_deviations_over_draws_and_seeds() -> None:
    found = measure(PLACES, ["accuracy", "loss"], [made(0), made(1)])
    assert found["accuracy"]["none"][0] == TableValue(0.06, stdev([0.01, 0.11]), 2)
    values = [2000 + seed / 10 + draw / 100 for seed in (0, 1) for draw in (1, 2, 3)]
    last = found["accuracy"]["t99"][20]
    assert (last.value, last.std) == (pytest.approx(fmean(values)), pytest.approx(stdev(values)))
    assert last.count == 2
    assert sum(len(each) for each in found["accuracy"].values()) == 2001
    assert found["loss"]["t0"][1] == TableValue(None)
