"""`run` again does what is missing and nothing else, whatever was renamed, moved or changed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grids import ask, left_in, write_grid
from PIL import Image

from runner.api.running import RunSummary, run
from runner.bind.request import Request
from runner.core.stages import Stage
from runner.execute.listener import NullListener

SPEC = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [6]}
train: {epochs: 3, batch_size: 8, optimizer: sgd}
sweep:
  grid: {lr: [0.1, 0.2]}
"""
STATUSES = "SELECT run_key, rerun, status FROM results ORDER BY run_key, rerun"


class Log(NullListener):
    """Remembers the stages that began."""

    def __init__(self) -> None:
        self.began: list[str] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage.kind)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_grid(tmp_path, SPEC)


def do(spec: Path, **options: Any) -> tuple[list[str], RunSummary]:
    """Run; return the kinds of the stages that were done, and the end."""
    log = Log()
    ran = run(Request([spec], threads=1, **options), listen=lambda planned: log)
    return log.began, ran


ALL = ["prepare", "train", "evaluate", "train", "evaluate"]


def sorted_kinds(kinds: list[str]) -> list[str]:
    return sorted(kinds, key=("prepare", "train", "evaluate").index)


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
def test_the_first_run_does_each_stage_once_and_the_second_nothing(spec: Path) -> None:
    began, ran = do(spec)
    assert sorted_kinds(began) == sorted_kinds(ALL)
    assert ran.before == 0
    left = left_in(spec.parent)
    began, ran = do(spec)
    assert began == []
    assert ran.before == 2
    assert left_in(spec.parent) == left


@pytest.mark.slow
def test_a_changed_image_is_other_data_and_old_results_are_kept(spec: Path) -> None:
    do(spec)
    before = ask(spec.parent, STATUSES)
    path = spec.parent / "photos" / "class_1" / "03.png"
    with Image.open(path) as image:
        pixels = np.asarray(image).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    began, ran = do(spec)
    assert sorted_kinds(began) == sorted_kinds(ALL)
    assert ran.before == 0
    after = ask(spec.parent, STATUSES)
    assert len(after) == 4
    assert set(before) < set(after)
    assert {key for (key,) in ask(spec.parent, "SELECT run_key FROM cells")}.isdisjoint(
        key for key, _, _ in before
    )


@pytest.mark.slow
def test_a_renamed_image_is_other_data(spec: Path) -> None:
    do(spec)
    path = spec.parent / "photos" / "class_1" / "03.png"
    path.rename(path.with_name("03b.png"))
    _, ran = do(spec)
    assert ran.before == 0


@pytest.mark.slow
def test_a_touched_image_is_the_same_data(spec: Path) -> None:
    do(spec)
    (spec.parent / "photos" / "class_1" / "03.png").touch()
    assert do(spec)[0] == []


@pytest.mark.slow
def test_renaming_the_experiment_changes_no_run(spec: Path) -> None:
    do(spec)
    spec.write_text(SPEC.replace("name: grid", "name: renamed", 1))
    began, ran = do(spec)
    assert began == []
    assert ran.before == 2
    names = ask(spec.parent, "SELECT DISTINCT name FROM experiments ORDER BY name")
    assert names == [("grid",), ("renamed",)]


@pytest.mark.slow
def test_moving_the_images_changes_no_run(spec: Path) -> None:
    do(spec)
    (spec.parent / "elsewhere").mkdir()
    shutil.move(spec.parent / "photos", spec.parent / "elsewhere" / "pictures")
    spec.write_text(SPEC.replace("path: photos", "path: elsewhere/pictures"))
    began, ran = do(spec)
    assert began == []
    assert ran.before == 2


@pytest.mark.slow
def test_moving_everything_changes_no_run(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("photos", "grid.yaml"):
        shutil.move(tmp_path / name, old / name)
    monkeypatch.chdir(old)
    do(old / "grid.yaml", limit=1)
    new = tmp_path / "new"
    monkeypatch.chdir(tmp_path)
    shutil.move(old, new)
    monkeypatch.chdir(new)
    began, ran = do(new / "grid.yaml")
    assert began == ["train", "evaluate"]
    assert ran.before == 1


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
def test_limit_does_that_many_more_runs_each_time(spec: Path) -> None:
    began, _ = do(spec, limit=1)
    assert began == ["prepare", "train", "evaluate"]
    began, ran = do(spec, limit=1)
    assert began == ["train", "evaluate"]
    assert (ran.before, len(ran.statuses)) == (1, 2)
    assert do(spec, limit=1)[0] == []


@pytest.mark.slow
def test_only_does_the_chosen_cells_and_keeps_the_others_for_later(spec: Path) -> None:
    began, ran = do(spec, only=["lr=0.2"])
    assert began == ["prepare", "train", "evaluate"]
    assert ran.wanted == 1
    assert ask(spec.parent, "SELECT count(*) FROM cells") == [(2,)]
    assert do(spec)[0] == ["train", "evaluate"]


@pytest.mark.slow
def test_rerun_is_a_further_repetition_and_keeps_the_old_one(spec: Path) -> None:
    do(spec)
    old = ask(spec.parent, STATUSES)
    began, _ = do(spec, rerun=True)
    assert sorted_kinds(began) == sorted_kinds(ALL[1:])
    new = ask(spec.parent, STATUSES)
    assert new == [(key, rerun, "done") for key, _, _ in old for rerun in (0, 1)]
    assert do(spec)[0] == []


@pytest.mark.slow
def test_a_rerun_measures_the_same_numbers_again(spec: Path) -> None:
    do(spec)
    do(spec, rerun=True)
    query = "SELECT run_key, epoch, split, name, value FROM run_metrics WHERE rerun = ?"
    first = ask(spec.parent, f"{query} ORDER BY 1, 2, 3, 4", [0])
    assert len(first) == 2 * (3 * 4 + 2)
    assert ask(spec.parent, f"{query} ORDER BY 1, 2, 3, 4", [1]) == first


@pytest.mark.slow
def test_an_unfinished_rerun_goes_on_with_rerun_and_is_left_alone_without(spec: Path) -> None:
    do(spec)
    began, _ = do(spec, rerun=True, limit=1)
    assert began == ["train", "evaluate"]
    assert do(spec)[0] == []
    assert do(spec, rerun=True)[0] == ["train", "evaluate"]
    counts = "SELECT rerun, count(*) FROM results GROUP BY rerun ORDER BY rerun"
    assert ask(spec.parent, counts) == [(0, 2), (1, 2)]
    do(spec, rerun=True)
    assert ask(spec.parent, counts) == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.slow
def test_without_its_folder_nothing_is_done_again_for_finished_runs(spec: Path) -> None:
    do(spec)
    shutil.rmtree(spec.parent / ".runner")
    assert do(spec)[0] == []
    assert not (spec.parent / ".runner" / "pixels").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
def test_without_its_folder_a_new_run_prepares_again_and_old_ones_are_kept(spec: Path) -> None:
    do(spec)
    shutil.rmtree(spec.parent / ".runner")
    spec.write_text(SPEC.replace("[0.1, 0.2]", "[0.1, 0.2, 0.3]"))
    began, ran = do(spec)
    assert began == ["prepare", "train", "evaluate"]
    assert ran.before == 2
    assert ask(spec.parent, "SELECT status FROM attempts JOIN stages USING (stage_key)"
               " WHERE kind = 'prepare'") == [("done",), ("done",)]  # fmt: skip


@pytest.mark.slow
def test_without_its_weights_an_unfinished_run_is_trained_again_to_the_same_result(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runner.execute.worker as worker

    whole = tmp_path / "whole.db"
    do(spec, db=whole)
    shutil.rmtree(tmp_path / ".runner")

    def stop_before_evaluating(stage: Stage, *args: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        real = worker.do_stage
        patch.setattr(
            worker,
            "do_stage",
            lambda context, job: (
                stop_before_evaluating(job.stage)
                if job.stage.kind == "evaluate"
                else real(context, job)
            ),
        )
        with pytest.raises(KeyboardInterrupt):
            do(spec, limit=1)
    assert ask(tmp_path, "SELECT count(*) FROM results") == [(0,)]
    shutil.rmtree(tmp_path / ".runner")
    with monkeypatch.context() as patch:
        patch.setattr("runner.store.claims.is_dead", lambda process: True)
        began, _ = do(spec)
    assert sorted_kinds(began) == sorted_kinds(ALL)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(whole, other / "results.db")
    assert left_in(tmp_path).dump == left_in(other).dump


@pytest.mark.slow
def test_two_specs_that_want_the_same_run_share_it(spec: Path) -> None:
    do(spec)
    other = spec.with_name("other.yaml")
    other.write_text(SPEC.replace("name: grid", "name: other").replace("[0.1, 0.2]", "[0.2, 0.4]"))
    began, ran = do(other)
    assert began == ["train", "evaluate"]
    assert ran.before == 1
    shared = "SELECT count(*) FROM (SELECT run_key FROM cells GROUP BY run_key HAVING count(*) = 2)"
    assert ask(spec.parent, shared) == [(1,)]


@pytest.mark.slow
def test_a_changed_seed_of_a_spec_runs_anew_and_its_cells_replace_the_old_ones(spec: Path) -> None:
    do(spec)
    spec.write_text(SPEC + "seeds: [5]\n")
    _, ran = do(spec)
    assert ran.before == 0
    assert ask(spec.parent, "SELECT DISTINCT seed FROM cells") == [(5,)]
    assert ask(spec.parent, "SELECT count(*) FROM results") == [(4,)]


@pytest.mark.slow
def test_a_variant_is_kept_beside_the_spec_as_written(spec: Path) -> None:
    do(spec)
    _, ran = do(spec, sets=["epochs=2"])
    assert ran.before == 0
    assert ask(spec.parent, "SELECT variant FROM experiments ORDER BY variant") == [
        ("",),
        ("epochs=2",),
    ]
    assert do(spec)[0] == []
