"""Robustness that is measured now, by `inspect`: the values of the analysis, its images, its end.

It is the stage that `run` would do: whichever comes second computes nothing again.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from analysed_grids import ASKED, VALUES, do
from grids import ask
from torch import Tensor

from runner import api
from runner.api.inspecting_robustness import InspectedRobustness
from runner.core.errors import Interrupted
from runner.core.keys import canonical_json
from runner.core.records import AnalysisValue
from runner.engine.data.augment import Augmenter
from runner.engine.data.pixels import forget_images
from runner.engine.tally import Tally

TRANSFORMS = (
    "{name: RandomRotation, degrees: 45}",
    {
        "label": "blur",
        "severities": [
            {"name": "GaussianBlur", "kernel_size": 3, "sigma": 0.5},
            [{"name": "GaussianBlur", "kernel_size": 3, "sigma": 2}],
        ],
    },
)
"""As the analysis `shaken` of the grid has them."""
PASSES = 1 + 3 * 3
"""The images as they are, and three draws of three changes."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return how many passes were measured, and how many batches of images changed."""
    counts = {"passes": 0, "changed": 0}
    values, augment = Tally.values, Augmenter.__call__

    def measured(self: Tally) -> Any:
        counts["passes"] += 1
        return values(self)

    def changed(
        self: Augmenter, images: Tensor, epoch: int, step: int, rows: Sequence[int]
    ) -> Tensor:
        counts["changed"] += 1
        return augment(self, images, epoch, step, rows)

    monkeypatch.setattr(Tally, "values", measured)
    monkeypatch.setattr(Augmenter, "__call__", changed)
    return counts


def inspect(home: Path, **options: Any) -> InspectedRobustness:
    kept = api.KeptRun("grid:0", db=home / "results.db", device="cpu")
    options = {"draws": 3, "out": home / "seen.png", **options}
    return api.inspect_robustness(kept, TRANSFORMS, **options)


def rows(values: Sequence[AnalysisValue]) -> list[tuple[str, str, float]]:
    return sorted((each.name, canonical_json(dict(each.dims)), each.value) for each in values)


def recorded(home: Path) -> list[tuple[str, str, float]]:
    return sorted((name, dims, value) for _, _, name, dims, value in ask(home, VALUES))


@pytest.mark.slow
def test_values_are_those_of_the_analysis_and_images_are_shared(
    before: Path, counted: dict[str, int], tmp_path: Path
) -> None:
    shutil.copytree(before, tmp_path / "asked")
    do(tmp_path / "asked", ASKED, only=["lr=0.1"])
    expected = recorded(tmp_path / "asked")
    shutil.move(tmp_path / "asked/.runner/changed", before / ".runner/changed")
    counted.update(passes=0, changed=0)
    forget_images()
    digest = hashlib.sha256((before / "results.db").read_bytes()).digest()
    found = inspect(before)
    assert rows(found.values) == expected
    assert counted == {"passes": PASSES, "changed": 0}
    assert hashlib.sha256((before / "results.db").read_bytes()).digest() == digest
    none, *others = found.rows
    assert (none.transform, none.severity, none.accuracy_std, none.drop) == ("none", 0, None, 0)
    for each in others:
        assert each.drop == none.accuracy - each.accuracy
    assert list(found.frame()["transform"]) == ["none", "RandomRotation", "blur", "blur"]
    assert len(found.value_frame()) == len(expected)
    assert found.paths[0].read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_run_takes_over_what_was_measured_and_inspect_what_is_recorded(
    before: Path, counted: dict[str, int]
) -> None:
    found = inspect(before)
    assert counted["passes"] == PASSES
    inspect(before)
    assert counted["passes"] == PASSES, "it is kept, though in no database"
    do(before, ASKED, only=["lr=0.1"])
    assert counted["passes"] == PASSES, "the run goes on behind it"
    assert recorded(before) == rows(found.values)
    shutil.rmtree(before / ".runner/weights")
    assert rows(inspect(before).values) == rows(found.values)
    again = api.inspect_robustness(
        api.KeptRun("grid:0", db=before / "results.db"), out=before / "again.png"
    )
    assert (again.rows, rows(again.values)) == (found.rows, rows(found.values))
    drawn = api.inspect_analysis("grid:0", "robustness", db=before / "results.db", out="a.png")
    assert len(drawn.values) == len(found.values)
    assert list(drawn.figures) == [""]


@pytest.mark.slow
def test_where_it_was_stopped_it_goes_on(before: Path, counted: dict[str, int]) -> None:
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        inspect(before, on_done=stop)
    assert 0 < counted["passes"] < PASSES
    inspect(before)
    assert counted["passes"] == PASSES


@pytest.mark.slow
def test_images_that_were_cleared_are_prepared_again(before: Path) -> None:
    shutil.rmtree(before / ".runner/pixels")
    assert len(inspect(before).rows) == 4
