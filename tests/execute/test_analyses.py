"""Analyses of finished runs: nothing is trained for them, and nothing is made twice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from analysed_grids import ASKED, SPEC, VALUES, do, records
from grids import ask
from safetensors.torch import load_file
from test_measurements import kinds

from runner.api.planning import plan
from runner.api.reporting import report
from runner.api.running import run
from runner.api.showing import show
from runner.api.verifying import verify
from runner.cli.app import app
from runner.components.analyses.robustness import Robustness
from runner.components.data.dataset import DataAccess
from runner.components.resolved import typed_settings
from runner.core.errors import DamagedDatabase, SpecError
from runner.core.records import AnalysisValue
from runner.core.stages import Analyse
from runner.engine.analyses import ANALYSES
from runner.engine.analyses.result import Analyser, AnalysisResult
from runner.engine.stages.prepare import decoded
from runner.store.database import open_database
from runner.store.dump import canonical_dump
from runner.store.merge import import_results


@pytest.mark.slow
def test_analysis_of_a_finished_grid_trains_no_epoch_and_is_made_once(before: Path) -> None:
    were, steps = records(before), ask(before, "SELECT count(*) FROM steps")
    log, ran = do(before, ASKED)
    assert kinds(log) == ["analyse"] * 2
    assert (ran.before, set(ran.statuses.values())) == (2, {"done"})
    assert (records(before), ask(before, "SELECT count(*) FROM steps")) == (were, steps)
    assert len(ask(before, VALUES)) == 2 * 4 * (1 + 3 * 3)
    rows = report("robustness", db=before / "results.db").frame()
    measured = ask(
        before,
        "SELECT value FROM run_metrics JOIN results USING (run_key) WHERE split = 'val'"
        " AND name = 'accuracy' AND epoch = best_epoch ORDER BY value",
    )
    assert sorted(rows.NONE) == pytest.approx([value for (value,) in measured])
    rotated = ask(before, f"{VALUES.partition(' ORDER')[0]} WHERE dims LIKE '%Rotation%'")
    of_first = [value for key, _, name, _, value in rotated if name == "accuracy"]
    draws = (of_first[:3], of_first[3:])
    assert sorted(rows.ROTATED) == pytest.approx(sorted(np.mean(draws, axis=1)))
    assert sorted(rows.ROTATED_std) == pytest.approx(sorted(np.std(draws, axis=1, ddof=1)))
    assert set(rows.ROTATED_n) == {1}
    again, _ = do(before, ASKED)
    assert again.began == []


@pytest.mark.slow
def test_flipped_images_are_those_of_the_split_mirrored(before: Path) -> None:
    """Against the kept weights on mirrored arrays, without the program's own evaluation."""
    flipped = "      - {name: RandomHorizontalFlip, p: 1}\ntables:"
    log, _ = do(before, ASKED.replace("tables:", flipped))
    for stage in log.began:
        assert isinstance(stage, Analyse)
        settings = typed_settings(stage.settings)
        source = settings.data.build(DataAccess((), lambda folder, names: []))
        indices = settings.data.split(source.labels, source.classes, source.splits)["val"]
        pixels = np.stack(list(decoded(source, indices, settings.data)))[:, :, ::-1]
        images = torch.tensor(pixels.copy()).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in settings.data.normalization())
        network = settings.model.build((1, 8, 8), 10)
        weights = stage.weights.removeprefix("weights/")
        (path,) = before.glob(f".runner/weights/*/{weights}.safetensors")
        network.load_state_dict(load_file(path))
        with torch.inference_mode():
            predicted = network.eval()((images - mean) / std).argmax(1)
        right = [int(each) == source.labels[i] for each, i in zip(predicted, indices, strict=True)]
        values = ask(
            before,
            "SELECT DISTINCT value FROM run_analyses JOIN analyses USING (run_key, analysis_key)"
            " WHERE stage_key = ? AND name = 'accuracy' AND dims LIKE '%HorizontalFlip%'",
            [stage.key],
        )
        assert values == [(pytest.approx(np.mean(right)),)]


def test_images_that_a_transform_would_resize_are_refused_before_any_work(before: Path) -> None:
    wrong = ASKED.replace(
        "{name: RandomRotation, degrees: 45}",
        "{label: RandomRotation, severities: [{name: Resize, size: 12}]}",
    )
    with pytest.raises(
        SpecError, match=r"grid.yaml:\d+:\d+: analysis shaken: augmented images are"
    ):
        do(before, wrong)
    assert ask(before, "SELECT count(*) FROM stages WHERE kind = 'analyse'") == [(0,)]


@pytest.mark.slow
def test_renaming_an_analysis_makes_nothing_again(before: Path) -> None:
    do(before, ASKED)
    log, _ = do(before, ASKED.replace("shaken", "disturbed"))
    assert log.began == []


@pytest.mark.slow
def test_another_setting_of_an_analysis_is_another_analysis(before: Path) -> None:
    do(before, ASKED)
    log, _ = do(before, ASKED, sets=["analyses.shaken.draws=1"])
    assert kinds(log) == ["analyse"] * 2
    assert len(ask(before, VALUES)) == 2 * 4 * (10 + 4)


@pytest.mark.slow
def test_two_values_at_one_place_fail_the_analysis_alone(
    before: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [AnalysisValue("accuracy", value, {"transform": "none"}) for value in (0.5, 0.25)]
    found = AnalysisResult(tuple(twice))
    monkeypatch.setitem(ANALYSES, Robustness, Analyser(lambda subject, asked: found))
    _, ran = do(before, ASKED)
    assert set(ran.statuses.values()) == {"done"}
    with pytest.raises(SystemExit) as ended:
        app(["run", str(before / "grid.yaml"), "--db", str(before / "results.db")])
    assert ended.value.code == 1
    assert "2 analyses failed; the same command tries again" in capsys.readouterr().err
    errors = ask(before, "SELECT DISTINCT error FROM attempts WHERE status = 'failed'")
    assert (ran.failed_measurements, ran.failed_analyses) == (0, 2)
    assert errors == [("robustness: two values of accuracy at transform none",)]


@pytest.mark.slow
def test_worker_tells_of_analyses_that_failed_and_does_not_end_well(
    before: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [AnalysisValue("accuracy", value, {"transform": "none"}) for value in (0.5, 0.25)]
    found = AnalysisResult(tuple(twice))
    monkeypatch.setitem(ANALYSES, Robustness, Analyser(lambda subject, asked: found))
    do(before, ASKED, workers=0)
    ended = []
    for _ in range(2):
        with pytest.raises(SystemExit) as stopped:
            app(["worker", "--db", str(before / "results.db"), "--device", "cpu"])
        ended.append((stopped.value.code, capsys.readouterr().err))
    (first, said), (second, later) = ended
    assert (first, second) == (1, 0)  # then nothing is wanted
    assert "2 analyses failed; `runner run SPEC` tries again" in said
    assert "failed" not in later


@pytest.mark.slow
def test_only_chosen_cells_are_analysed(before: Path) -> None:
    log, _ = do(before, ASKED, only=["lr=0.1"])
    assert kinds(log) == ["analyse"]


def test_plan_names_analyses_to_be_made(before: Path) -> None:
    (before / "grid.yaml").write_text(ASKED)
    explained = plan(before / "grid.yaml", db=before / "results.db", device="cpu")
    assert explained.analyses == {"shaken": 2}
    assert (explained.done, explained.planned.epochs) == (2, 0)


@pytest.mark.slow
def test_an_analysis_that_points_to_another_run_is_refused(before: Path) -> None:
    do(before, ASKED)
    with open_database(before / "results.db") as database, database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE analyses SET stage_key = (SELECT max(stage_key) FROM analyses)"
        )
    with pytest.raises(DamagedDatabase, match=r"stage of analysis robustness of run \w+ is not"):
        report("robustness", db=before / "results.db")


@pytest.mark.slow
def test_analyses_of_a_repetition_that_wanted_some_are_shown_after_one_that_did_not(
    before: Path,
) -> None:
    do(before, ASKED)
    do(before, SPEC, rerun=True)
    (found,) = show("grid:0", db=before / "results.db").record["analyses"]
    assert (found["kind"], found["made"]) == ("robustness", True)
    assert len(found["values"]) == len(ask(before, VALUES)) / 2


@pytest.mark.slow
def test_values_that_are_not_what_was_recorded_are_refused(before: Path) -> None:
    do(before, ASKED)
    with open_database(before / "results.db") as database, database.write() as connection:
        connection.exec_driver_sql("UPDATE analysis_values SET value = 1 WHERE name = 'accuracy'")
    with pytest.raises(DamagedDatabase, match=r"the values of analysis \w+ are not what was"):
        report("robustness", db=before / "results.db")


@pytest.mark.slow
def test_analyses_of_new_runs_wait_for_their_trainings_and_are_the_same_unshared(
    before: Path, tmp_path: Path
) -> None:
    do(before, ASKED)
    for name, options in (("new", {}), ("alone", {"no_share": True})):
        folder = tmp_path / name
        folder.mkdir()
        log, _ = do(folder, ASKED, **options)
        assert kinds(log).count("analyse") == 2
        assert ask(folder, VALUES) == ask(before, VALUES)


@pytest.mark.slow
def test_verify_compares_analyses(tmp_path: Path) -> None:
    spec = tmp_path / "grid.yaml"
    spec.write_text(
        ASKED.replace("lr: [0.1, 0.2]", "patience: [1, 2]").replace("LR: lr", "P: patience")
    )
    verified = verify(spec, db=tmp_path / "results.db", device="cpu", threads=1)
    assert verified.is_same
    run(spec, db=tmp_path / "results.db", device="cpu", threads=1)
    with open_database(tmp_path / "results.db") as database:
        lines = [line for line in canonical_dump(database) if line.startswith('{"analysis"')]
    assert len(lines) == len(ask(tmp_path, VALUES)) == 2 * 4 * 10


@pytest.mark.slow
def test_analyses_that_are_added_later_come_to_results_that_were_imported_before(
    before: Path, tmp_path: Path
) -> None:
    def imported(home: Path) -> int:
        with (
            open_database(before / "results.db") as source,
            open_database(home / "results.db") as target,
        ):
            runs = {key for (key,) in ask(before, "SELECT run_key FROM runs")}
            return len(import_results(target, source, runs))

    own = tmp_path / "own"
    own.mkdir()
    do(own, SPEC)
    assert imported(tmp_path) == 2
    do(before, ASKED)
    values = ask(before, VALUES)
    assert values
    assert (imported(tmp_path), ask(tmp_path, VALUES)) == (0, values)
    assert (imported(tmp_path), ask(tmp_path, VALUES)) == (0, values)
    assert (imported(own), ask(own, VALUES)) == (0, [])  # its weights are its own
    log, _ = do(tmp_path, ASKED)
    assert (log.began, log.notes) == ([], [])
    assert report("robustness", db=tmp_path / "results.db").frame().status.tolist() == ["done"] * 2


@pytest.mark.slow
def test_analyses_are_imported_with_the_results_that_have_them(
    before: Path, tmp_path: Path
) -> None:
    do(before, ASKED)
    values = ask(before, VALUES)
    with (
        open_database(before / "results.db") as source,
        open_database(tmp_path / "results.db") as target,
    ):
        import_results(target, source, {row[0] for row in values})
    assert ask(tmp_path, VALUES) == values
    log, _ = do(tmp_path, ASKED)
    assert (log.began, log.notes) == ([], [])
