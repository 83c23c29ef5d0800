"""Changed images are made once for all runs, analyses and processes, and need little memory."""

import errno
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from analysed_grids import ASKED, VALUES, do
from grids import ask
from test_measurements import kinds
from torch import Tensor

from runner import api
from runner.api.reporting import report
from runner.artifacts.atomic import SUFFIX
from runner.artifacts.cache import EVICTED
from runner.artifacts.folder import INDEX
from runner.artifacts.process import start_ticks, this_process
from runner.engine.analyses import changed_images
from runner.engine.data import samples
from runner.engine.data.augment import Augmenter
from runner.engine.data.pixels import forget_images
from runner.engine.network.build import Network

ONE_PASS = [256, 104]
"""Images of the batches that are changed together."""
KEPT = ".runner/changed"
Values = list[tuple[Any, ...]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that is filled with the images that are changed, by batch."""
    calls: list[int] = []
    augment = Augmenter.__call__

    def counted(
        self: Augmenter, images: Tensor, epoch: int, step: int, rows: Sequence[int]
    ) -> Tensor:
        calls.append(len(images))
        return augment(self, images, epoch, step, rows)

    monkeypatch.setattr(Augmenter, "__call__", counted)
    return calls


@pytest.fixture
def expected(before: Path, tmp_path: Path) -> Values:
    """Return the values of one run whose changed images are kept."""
    shutil.copytree(before, tmp_path / "kept")
    do(tmp_path / "kept", ASKED, only=["lr=0.1"])
    return ask(tmp_path / "kept", VALUES)


@pytest.mark.slow
def test_changed_images_are_made_once_for_all_runs_and_analyses(
    before: Path, made: list[int]
) -> None:
    log, _ = do(before, ASKED)
    assert kinds(log) == ["analyse"] * 2
    assert made == ONE_PASS * 3 * 3  # transforms and severities, draws
    forget_images()  # as in another process
    log, _ = do(before, ASKED, sets=["analyses.shaken.draws=4"])
    assert kinds(log) == ["analyse"] * 2
    assert made == ONE_PASS * 3 * 4, "of the fourth draw alone"


@pytest.mark.slow
def test_values_are_the_same_where_there_is_no_room_to_keep_images(
    before: Path, expected: Values
) -> None:
    log, _ = do(before, ASKED, only=["lr=0.1"], cache_limit=0)
    assert (log.notes, list(before.glob(f"{KEPT}/*"))) == ([], [])
    assert ask(before, VALUES) == expected


@pytest.mark.slow
def test_as_many_changed_images_as_fit_are_used_again_and_no_state_goes_for_them(
    before: Path, made: list[int]
) -> None:
    states = sorted(before.glob(".runner/states/*/*"))
    assert states
    kept = sum(
        each.stat().st_size
        for kind in EVICTED
        for each in before.glob(f".runner/{kind}/**/*")
        if each.is_file()
    )
    images_of_a_pass = 360 * 8 * 8
    do(before, ASKED, cache_limit=kept + 5 * images_of_a_pass)
    assert sorted(before.glob(".runner/states/*/*")) == states
    assert len(list(before.glob(f"{KEPT}/*"))) == 5
    assert made == ONE_PASS * (9 + 9 - 5), "of the second run, those that did not fit"


@pytest.mark.slow
def test_values_are_the_same_on_a_full_disk(
    before: Path, expected: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(changed_images, "allocate", full)
    log, _ = do(before, ASKED, only=["lr=0.1"])
    assert set(log.notes) == {"the disk is full: changed images are not kept for other runs"}
    assert list(before.glob(f"{KEPT}/*")) == []
    assert ask(before, VALUES) == expected


@pytest.mark.slow
def test_disk_that_is_full_at_the_last_makes_no_image_twice(
    before: Path, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room of the images was there, that of their index is not."""
    write_text, open_path = Path.write_text, Path.open

    def writes(self: Path, text: str, **options: Any) -> int:
        if "changed" in self.parts and self.name == INDEX:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(self, text, **options)

    def opens(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if "changed" in self.parts and self.name == INDEX and mode[0] in "wax":
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_path(self, mode, *args, **options)

    monkeypatch.setattr(Path, "write_text", writes)
    monkeypatch.setattr(Path, "open", opens)
    do(before, ASKED, only=["lr=0.1"])
    assert made == ONE_PASS * 9


@pytest.mark.slow
@pytest.mark.parametrize(("constant", "value"), [("FORMAT", 0), ("BATCH", 128)])
def test_changed_images_of_another_format_are_not_used(
    constant: str,
    value: int,
    before: Path,
    made: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(changed_images, constant, value)
        do(before, ASKED, only=["lr=0.1"])
    made.clear()
    do(before, ASKED, only=["lr=0.2"])
    assert made == ONE_PASS * 9


@pytest.mark.slow
@pytest.mark.parametrize("is_alive", [True, False])
def test_images_that_another_process_is_making_are_waited_for_while_it_lives(
    is_alive: bool, before: Path, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    do(before, ASKED, only=["lr=0.1"])
    made.clear()
    last, parent = sorted(before.glob(f"{KEPT}/*"))[-1], os.getppid()
    ticks = start_ticks(parent)
    other = replace(this_process(), pid=parent, ticks=ticks if is_alive else (ticks or 0) + 1)
    partial = last.rename(last.with_name(f"{last.name}.{other.tag()}.{SUFFIX}"))
    waited: list[float] = []

    def ends(seconds: float) -> None:
        waited.append(seconds)
        partial.rename(last)

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=ends)
    monkeypatch.setattr(changed_images, "time", clock)
    do(before, ASKED, only=["lr=0.2"])
    expected: tuple[int, list[int]] = (1, []) if is_alive else (0, ONE_PASS)
    assert (len(waited), made) == expected


@pytest.mark.slow
def test_damaged_changed_images_are_made_again(before: Path, made: list[int]) -> None:
    do(before, ASKED, only=["lr=0.1"])
    path = sorted(before.glob(f"{KEPT}/*/{changed_images.ARRAY}"))[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    made.clear()
    log, _ = do(before, ASKED, only=["lr=0.2"])
    assert (made, log.notes) == (ONE_PASS, ["changed images are made again: they are damaged"])


@pytest.mark.slow
def test_batches_of_changed_images_are_as_small_as_those_of_an_evaluation(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of images of 512×512 pixels on a CPU."""
    sizes: list[int] = []
    evaluated = Network.evaluated

    def counted(self: Network, inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        return evaluated(self, inputs)

    monkeypatch.setattr(Network, "evaluated", counted)
    monkeypatch.setattr(samples, "EVALUATION_VALUES_ELSEWHERE", 8 * 8 * 32)
    do(before, ASKED, only=["lr=0.1"])
    assert max(sizes) == 32
    assert sum(sizes) == 360 * 10


CORRUPTED = """\
name: corrupted
data: {dataset: synthetic, classes: 3, images: 60, height: 32, width: 32, validation: 0.5}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 10}
analyses:
  hurt:
    name: robustness
    draws: 2
    transforms:
      - {name: corruption, kind: fog}
      - {name: corruption, kind: contrast, severities: [1, 5]}
      - {name: corruption, kind: saturate, severity: 3}
tables:
  errors:
    MCE: {analysis: hurt, metric: mean_corruption_error}
    WORST: {analysis: hurt, metric: severity_error, where: {severity: 5}}
    FOG: {analysis: hurt, metric: corruption_error, where: {transform: fog}}
    CONTRAST: {analysis: hurt, metric: corruption_error, where: {transform: contrast}}
    C1: {analysis: hurt, metric: accuracy, where: {transform: contrast, severity: 1}}
    C5: {analysis: hurt, metric: accuracy, where: {transform: contrast, severity: 5}}
    F1: {analysis: hurt, metric: macro_f1, where: {transform: fog, severity: 1}}
"""


@pytest.mark.slow
def test_errors_on_corruptions_are_means_over_severities_and_corruptions(
    tmp_path: Path, made: list[int]
) -> None:
    do(tmp_path, CORRUPTED)
    assert made == [24] * (5 * 2 + 2 + 1), "draws of fog; contrast and saturation draw nothing"
    (row,) = report("errors", db=tmp_path / "results.db").frame().to_dict("records")
    found = ask(tmp_path, "SELECT dims, value FROM run_analyses WHERE name = 'accuracy'")
    accuracies: dict[tuple[str, int], list[float]] = {}
    for dims, value in found:
        place = json.loads(dims)
        accuracies.setdefault((place["transform"], place["severity"]), []).append(value)
    means = {place: sum(several) / len(several) for place, several in accuracies.items()}
    fog = [1 - means["fog", number] for number in range(1, 6)]
    contrast = [1 - means["contrast", number] for number in (1, 5)]
    assert row["FOG"] == pytest.approx(sum(fog) / 5)
    assert row["CONTRAST"] == pytest.approx(sum(contrast) / 2)
    assert row["MCE"] == pytest.approx((sum(fog) / 5 + sum(contrast) / 2) / 2)
    assert row["WORST"] == pytest.approx((fog[-1] + contrast[-1]) / 2)
    assert (row["C1"], row["C5"]) == pytest.approx((1 - contrast[0], 1 - contrast[1]))
    assert 0 <= row["F1"] <= 1
    assert ("saturate", 3) in means
    drawn = api.plot(
        tmp_path / "grid.yaml", "robustness", db=tmp_path / "results.db", out=tmp_path / "hurt.png"
    )
    (caption,) = [legend.get_title().get_text() for legend in drawn.figure.legends][1:]
    assert "generated, not the official CIFAR-10-C" in caption.replace("\n", " ")
