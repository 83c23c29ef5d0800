"""Analyses of runs of every kind: diverged, on frozen features, of last weights, stopped, alone."""

import shutil
from pathlib import Path

import pytest
from analysed_grids import ASKED, ENDED, SPEC, VALUES, do
from grids import ask
from planted import at_moment
from test_measurements import kinds

from runner.core.errors import Interrupted, SpecError
from runner.core.stages import Train
from runner.execute.listener import NullListener

CONVNET = "{name: convnet, filters: [4, 5], linear: [6]}"
ALL = """\
analyses:
  filters: filters
  map: {name: embedding, images: 50, neighbours: 2, split: test}
  classes: predictions
  where: {name: saliency, methods: [gradient], count: 2}
  sizes: sizes
"""
DIGESTS = (
    "SELECT name, digest FROM artifacts"
    " WHERE name LIKE 'analyses/%' OR name LIKE 'logits/%' ORDER BY name"
)


def test_an_item_of_a_list_of_an_analysis_is_not_set_alone(before: Path) -> None:
    where = r"analyses\.shaken\.transforms\.0\.degrees|transforms is a list"
    with pytest.raises(SpecError, match=where) as caught:
        do(before, ASKED, sets=["analyses.shaken.transforms.0.degrees=10"])
    assert "a list that is set whole" in str(caught.value)


@pytest.mark.slow
def test_a_diverged_run_has_no_analyses_and_fails_nothing(tmp_path: Path) -> None:
    lr = ASKED.replace("lr: [0.1, 0.2]", "lr: [0.1, 1.0e+30]")
    log, ran = do(tmp_path, lr)
    assert sorted(ran.statuses.values()) == ["diverged", "done"]
    assert kinds(log).count("analyse") == 1
    assert (ran.failed_measurements, ran.failed_analyses) == (0, 0)
    again, _ = do(tmp_path, lr)
    assert (again.began, again.notes) == ([], [])


class Stopping(NullListener):
    """Asks a run to stop once an analysis has looked at images."""

    def __init__(self) -> None:
        self.is_time = False

    def __call__(self) -> bool:
        return self.is_time

    def analysed(self) -> None:
        self.is_time = True


@pytest.mark.slow
def test_an_analysis_that_is_asked_to_stop_is_made_by_the_next_run(before: Path) -> None:
    stop = Stopping()
    with (
        at_moment("images of a transform analysed", stop.analysed, 3),
        pytest.raises(Interrupted, match="stopped in the analysis robustness, which is made later"),
    ):
        do(before, ASKED, should_stop=stop)
    attempts = "SELECT status FROM attempts JOIN stages USING (stage_key) WHERE kind = 'analyse'"
    assert ask(before, attempts) == [("interrupted",)]
    assert ask(before, "SELECT count(*) FROM claims") == [(0,)]
    log, _ = do(before, ASKED)
    assert kinds(log) == ["analyse"] * 2
    assert ask(before, ENDED) == [(2, 2)]


@pytest.mark.slow
def test_every_analysis_is_the_same_to_the_byte_where_runs_are_done_alone(tmp_path: Path) -> None:
    text = SPEC.replace("{name: mlp, hidden: [8]}", CONVNET).replace("epochs: 2", "epochs: 1") + ALL
    found = []
    for name, options in (("shared", {}), ("alone", {"no_share": True})):
        folder = tmp_path / name
        folder.mkdir()
        log, ran = do(folder, text, **options)
        assert kinds(log).count("analyse") == 5 * 2
        assert (ran.failed_measurements, ran.failed_analyses) == (0, 0)
        found.append((ask(folder, VALUES), ask(folder, DIGESTS)))
    assert found[0] == found[1]
    assert len(found[0][1]) >= 2 * 4


@pytest.mark.slow
def test_runs_on_frozen_features_are_analysed_on_images(tmp_path: Path) -> None:
    frozen = CONVNET.replace("linear", "freeze: [features*], linear")
    text = SPEC.replace("{name: mlp, hidden: [8]}", frozen) + ALL
    log, ran = do(tmp_path, text)
    trainings = [stage for stage in log.began if isinstance(stage, Train)]
    assert all(stage.trains_on_features for stage in trainings)
    assert trainings
    assert kinds(log).count("analyse") == 5 * 2
    assert (ran.failed_measurements, ran.failed_analyses) == (0, 0)
    shutil.rmtree(tmp_path / ".runner" / "features")
    again, _ = do(tmp_path, text)
    assert again.began == []


@pytest.mark.slow
def test_last_and_best_weights_are_analysed_each_where_a_run_keeps_both(tmp_path: Path) -> None:
    both = (
        SPEC.replace("epochs: 2", "epochs: 3, best: {monitor: val_loss}").replace(
            "sweep:", "evaluate: {test: last}\nsweep:"
        )
        + "analyses:\n  first: predictions\n  second: {name: predictions, weights: last}\n"
    )
    log, ran = do(tmp_path, both)
    assert kinds(log).count("analyse") == 2 * 2
    assert ran.failed_analyses == 0
    one = both.replace("best: {monitor: val_loss}", "best: {monitor: last}").replace(
        "evaluate: {test: last}\n", ""
    )
    log, _ = do(tmp_path, one)
    assert kinds(log).count("analyse") == 2
    wanted = "SELECT count(DISTINCT analysis_key), count(DISTINCT stage_key) FROM analyses"
    assert ask(tmp_path, f"{wanted} GROUP BY run_key ORDER BY 2") == [(2, 1)] * 2 + [(2, 2)] * 2
    again, _ = do(tmp_path, one)
    assert again.began == []
