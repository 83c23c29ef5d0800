"""Own metrics of runs: measured of what is kept, each with a key of its own; nothing is trained."""

import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask
from packages import install, site_folder
from sklearn.metrics import top_k_accuracy_score
from stage_log import Log, do_spec

from runner import api
from runner.api.running import RunSummary
from runner.core.errors import SpecError
from runner.core.stages import Evaluate
from runner.store.database import open_database
from runner.store.merge import import_results

__all__ = ["site_folder"]

CODE = """\
class TopK:
    def __init__(self, k: int = 3):
        self.k = k

    def __call__(self, logits, labels):
        return (logits.topk(self.k, 1).indices == labels[:, None]).any(1).double().mean().item()


class OfTwo:
    def __call__(self, logits, labels):
        return float("nan")
"""
SPEC = """\
name: asked
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
sweep: {grid: {lr: [0.1, 0.2]}}
tables:
  asked:
    LR: lr
    TEST_ACC: test_accuracy
"""
ASKED = (
    SPEC
    + """\
    TOP2: test_top2
    TOP3: test_top3
    GAP: {metric: val_top3 - val_accuracy}
metrics:
  top2: {name: "metrics.py:TopK", k: 2}
  top3: {name: "metrics.py:TopK", k: 3}
"""
)
MEASURED = (
    "SELECT run_key, split, name, epoch, value FROM run_metrics WHERE name LIKE 'own%'"
    " ORDER BY 1, 2, 3"
)
ENDED = (
    "SELECT count(*), count(DISTINCT stage_key) FROM attempts JOIN stages USING (stage_key)"
    " WHERE kind = 'evaluate' AND status = 'done'"
)
ALLOWED = ["--code", "metrics.py"]


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    with api.allow_code(folder / "metrics.py"):
        return do_spec(folder / "asked.yaml", text, **options)


def kinds(log: Log) -> list[str]:
    return [stage.kind for stage in log.began]


def table(folder: Path) -> list[dict[str, Any]]:
    return api.report(db=folder / "results.db").frame().to_dict("records")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "metrics.py").write_text(CODE)
    do(folder, SPEC)
    return folder


@pytest.fixture
def before(finished: Path, tmp_path: Path) -> Path:
    """Return a folder with two finished runs of a spec that names no metric."""
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.slow
def test_metrics_of_finished_runs_are_measured_of_logits_and_nothing_is_trained(
    before: Path,
) -> None:
    records = "SELECT run_key, status, best_epoch, last_epoch, seconds, recorded FROM results"
    were = ask(before, records)
    shutil.rmtree(before / ".runner" / "pixels")
    shutil.rmtree(before / ".runner" / "weights")
    log, ran = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 6
    assert all(isinstance(each, Evaluate) and each.from_logits for each in log.began)
    assert (ran.before, ran.failed_measurements) == (2, 0)
    assert ask(before, records) == were
    for position, row in enumerate(table(before)):
        shown = api.predictions(f"asked:{position}", db=before / "results.db").kept
        for k in (2, 3):
            expected = top_k_accuracy_score(shown.labels, shown.logits, k=k)
            assert row[f"TOP{k}"] == pytest.approx(expected, abs=1e-12)
        assert 0 < row["GAP"] < 0.6
    again, _ = do(before, ASKED)
    assert again.began == []


@pytest.mark.slow
def test_without_logits_one_pass_of_weights_that_are_kept_serves_all_metrics_of_a_split(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import after_training

    shutil.copytree(before, before.parent / "other")
    do(before.parent / "other", ASKED)
    shutil.rmtree(before / ".runner" / "logits")
    passes: list[str] = []
    evaluate = after_training.evaluate

    def counted(network: Any, samples: Any, split: str, *others: Any) -> Any:
        passes.append(split)
        return evaluate(network, samples, split, *others)

    monkeypatch.setattr(after_training, "evaluate", counted)
    log, _ = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 6
    assert sorted(passes) == ["test", "test", "val", "val"]
    assert table(before) == table(before.parent / "other")


@pytest.mark.slow
def test_last_weights_and_evaluated_training_images_have_values(tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text(CODE)
    text = ASKED.replace(
        "GAP: ", "TRAIN: train_eval_top3\n    LAST: {metric: test_top3, at: last}\n    GAP: "
    )
    text = text.replace("TOP2: test_top2", "TOP2: val_top2").replace("    TOP3: test_top3\n", "")
    text = text.replace("TEST_ACC: test_accuracy", "VAL_ACC: val_accuracy")
    text += "evaluate: {test: last, train_eval: full}\n"
    do(tmp_path, text)
    db = tmp_path / "results.db"
    for position, row in enumerate(table(tmp_path)):
        for split, weights, title in (("train_eval", "best", "TRAIN"), ("test", "last", "LAST")):
            kept = api.predictions(f"asked:{position}", split=split, weights=weights, db=db).kept
            expected = top_k_accuracy_score(kept.labels, kept.logits, k=3)
            assert row[title] == pytest.approx(expected, abs=1e-12)
    assert do(tmp_path, text)[0].began == []


@pytest.mark.slow
def test_repetitions_are_measured_by_themselves(before: Path) -> None:
    do(before, ASKED)
    first = ask(before, MEASURED)
    log, _ = do(before, ASKED, rerun=True)
    assert kinds(log).count("train") == 2
    again = ask(before, MEASURED)
    assert len(again) == 12
    assert set(again) == set(first)


@pytest.mark.slow
def test_values_are_imported_with_the_results_that_have_them(
    before: Path, tmp_path: Path, forks: Forks
) -> None:
    do(before, ASKED)
    measured = ask(before, MEASURED)
    with (
        open_database(before / "results.db") as source,
        open_database(tmp_path / "to.db") as target,
    ):
        import_results(target, source, {row[0] for row in measured})
    (tmp_path / "to.db").rename(tmp_path / "results.db")
    assert ask(tmp_path, MEASURED) == measured
    (tmp_path / "metrics.py").write_text(CODE)
    log, _ = do(tmp_path, ASKED)
    assert (log.began, log.notes) == ([], [])
    assert table(tmp_path) == table(before)
    assert forks.run(tmp_path, ["db", "check"]) == 0


@pytest.mark.slow
def test_metrics_of_an_installed_package_need_no_permission(
    before: Path, site_folder: Path
) -> None:
    install(site_folder, offers="top_k = mynets.metrics:TopK", files={"metrics.py": CODE})
    text = ASKED.replace("metrics.py:TopK", "mynets:top_k")
    log, _ = do_spec(before / "asked.yaml", text)
    assert kinds(log) == ["evaluate"] * 6
    first = table(before)
    install(
        site_folder,
        offers="top_k = mynets.metrics:TopK",
        files={"metrics.py": CODE.replace(".item()", ".item() / 2")},
    )
    do_spec(before / "asked.yaml", text)
    halves = table(before)
    assert [row["TOP2"] for row in halves] == [row["TOP2"] / 2 for row in first]


@pytest.mark.slow
def test_new_runs_are_measured_and_their_keys_are_those_without(
    finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "metrics.py").write_text(CODE)
    log, _ = do(tmp_path, ASKED)
    assert kinds(log).count("train") == 2
    stages = "SELECT run_key, position, stage_key, reading FROM run_stages ORDER BY 1, 2"
    assert ask(tmp_path, stages) == ask(finished, stages)
    assert len(ask(tmp_path, MEASURED)) == 6


@pytest.mark.slow
def test_edited_code_and_other_settings_are_measured_again_and_comments_are_not(
    before: Path,
) -> None:
    do(before, ASKED)
    first = table(before)
    (before / "metrics.py").write_text(f"# a comment\n{CODE}")
    assert do(before, ASKED)[0].began == []
    (before / "metrics.py").write_text(CODE.replace(".item()", ".item() / 2"))
    assert kinds(do(before, ASKED)[0]) == ["evaluate"] * 6
    halves = table(before)
    for row, half in zip(first, halves, strict=True):
        assert half["TOP3"] == row["TOP3"] / 2
        assert half["TEST_ACC"] == row["TEST_ACC"]
    (before / "metrics.py").write_text(CODE)
    assert do(before, ASKED)[0].began == []
    assert table(before) == first
    log, _ = do(before, ASKED.replace("k: 2", "k: 4"))
    assert kinds(log) == ["evaluate"] * 2
    assert all(row["TOP2"] > row["TOP3"] for row in table(before))


@pytest.mark.slow
def test_weights_that_are_gone_are_said_and_nothing_is_trained(before: Path) -> None:
    shutil.rmtree(before / ".runner")
    log, ran = do(before, ASKED)
    assert log.began == []
    (note,) = log.notes
    assert re.match(
        "test_top2, test_top3 and val_top3 of 2 finished runs cannot be computed: their weights"
        " are gone",
        note,
    )
    assert (ran.before, ran.failed_measurements) == (2, 0)


@pytest.mark.slow
def test_recorded_values_need_no_code_and_a_run_does(before: Path) -> None:
    do(before, ASKED)
    shown = table(before)
    (before / "metrics.py").write_text("raise SystemExit('was run')\n")
    assert table(before) == shown
    assert api.show("asked:0", db=before / "results.db").record["epochs"]
    assert len(api.list_runs(db=before / "results.db").frame()) == 2
    for verb in (api.run, api.plan):
        with pytest.raises(SpecError, match=r"'metrics\.py:TopK' is Python code; allow it with"):
            verb(before / "asked.yaml", db=before / "results.db")


@pytest.mark.slow
def test_images_without_a_value_are_said_and_leave_the_cell_empty(before: Path) -> None:
    text = SPEC + '    X: test_two\nmetrics: {two: "metrics.py:OfTwo"}\n'
    log, ran = do(before, text)
    said = "test_two is not recorded: these images and labels have none"
    assert log.notes == [said] * 2
    assert ran.failed_measurements == 0
    assert ask(before, MEASURED) == []
    assert do(before, text)[0].began == []


@pytest.mark.slow
def test_metric_that_fails_on_real_images_leaves_the_run_done(before: Path) -> None:
    late = CODE.replace(
        "        return (logits", "        1 / (len(labels) < 300)\n        return (logits"
    )
    (before / "metrics.py").write_text(late)
    _, ran = do(before, ASKED)
    assert set(ran.statuses.values()) == {"done"}
    assert ran.failed_measurements == 6
    errors = {row[0] for row in ask(before, "SELECT error FROM attempts WHERE status = 'failed'")}
    assert len(errors) == 1
    assert "metrics.py:6: ZeroDivisionError" in errors.pop()
    (before / "metrics.py").write_text(CODE)
    assert do(before, ASKED)[1].failed_measurements == 0


def test_what_is_no_metric_is_refused_before_anything_is_done(before: Path) -> None:
    (before / "metrics.py").write_text(CODE.replace(".mean().item()", ""))
    with pytest.raises(SpecError, match=r"asked\.yaml:14:3: metric top2: 'metrics\.py:TopK' gives"):
        do(before, ASKED)
    assert ask(before, MEASURED) == []


@pytest.mark.slow
def test_a_child_process_measures_too_and_takes_no_other_code(before: Path) -> None:
    from planted import at_moment

    def edit() -> None:
        (before / "metrics.py").write_text(CODE.replace(".item()", ".item() / 2"))

    with at_moment("runs planned, not recorded", edit):
        _, ran = do(before, ASKED, executor="process")
    assert ran.failed_measurements == 6
    errors = {row[0] for row in ask(before, "SELECT error FROM attempts WHERE status = 'failed'")}
    assert "is other code now than it was" in errors.pop()
    assert ask(before, MEASURED) == []
    (before / "metrics.py").write_text(CODE)
    do(before, ASKED, executor="process")
    assert len(ask(before, MEASURED)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["stage claimed", "evaluated, not recorded", "outcome recorded"])
def test_killed_measurement_is_done_by_the_next_run_and_nothing_twice(
    moment: str, before: Path, forks: Forks, tmp_path: Path
) -> None:
    shutil.copytree(before, tmp_path / "undisturbed")
    do(tmp_path / "undisturbed", ASKED)
    (before / "asked.yaml").write_text(ASKED)
    words = ["run", "asked.yaml", *ALLOWED]
    assert forks.run(before, words, KillAt(moment, 2)) == -signal.SIGKILL
    assert forks.run(before, words) == 0, (before / OUTPUT).read_text()
    assert ask(before, MEASURED) == ask(tmp_path / "undisturbed", MEASURED)
    assert ask(before, ENDED) == [(8, 8)]
    assert ask(before, "SELECT count(*) FROM claims") == [(0,)]
    assert forks.run(before, ["db", "check"]) == 0


@pytest.mark.slow
def test_two_processes_measure_everything_once(before: Path, forks: Forks) -> None:
    (before / "asked.yaml").write_text(ASKED)
    started = [forks.start(before, ["run", "asked.yaml", *ALLOWED]) for _ in range(2)]
    assert [forks.wait(pid) for pid in started] == [0, 0], (before / OUTPUT).read_text()
    assert len(ask(before, MEASURED)) == 6
    assert ask(before, ENDED) == [(8, 8)]


@pytest.mark.slow
def test_values_that_are_not_what_was_recorded_are_refused(before: Path) -> None:
    do(before, ASKED)
    import sqlite3

    from runner.core.errors import DamagedDatabase

    connection = sqlite3.connect(before / "results.db")
    with connection:
        connection.execute("UPDATE evaluations SET value = 1.0 WHERE name LIKE 'own%'")
    connection.close()
    with pytest.raises(DamagedDatabase, match="is not what was recorded in own_metrics"):
        table(before)


@pytest.mark.slow
def test_records_call_metrics_as_their_specs_do_and_keep_their_source(before: Path) -> None:
    do(before, ASKED)
    db = before / "results.db"
    record = api.show("asked:0", db=db).record
    assert record["metrics"]["top2"]["name"] == "metrics.py:TopK"
    assert {name: each["k"] for name, each in record["metrics"].items()} == {"top2": 2, "top3": 3}
    (best,) = [each for each in record["epochs"] if each["epoch"] == record["result"]["best_epoch"]]
    (row, _) = table(before)
    assert (best["test_top2"], best["test_top3"]) == (row["TOP2"], row["TOP3"])
    source = {"metrics.py": CODE}
    assert record["own_code"] == {"metrics.top2": source, "metrics.top3": source}
    of_test, of_val = (api.predictions("asked:0", split=split, db=db) for split in ("test", "val"))
    assert of_test.measures()["top2"] == row["TOP2"]
    assert set(of_val.measures()) - set(of_test.measures()) == set()
    assert set(of_test.measures()) - set(of_val.measures()) == {"top2"}


@pytest.mark.slow
def test_other_code_of_one_name_is_told_apart_and_its_lines_are_shown(before: Path) -> None:
    do(before, ASKED)
    halved = CODE.replace(".item()", ".item() / 2")
    (before / "metrics.py").write_text(halved)
    db = before / "results.db"
    other = ASKED.replace("name: asked", "name: others").replace("  asked:", "  others:")
    with api.allow_code(before / "metrics.py"):
        do_spec(before / "others.yaml", other.replace("[0.1, 0.2]", "[0.3]"))
    rows = api.diff("asked:0", "others:0", db=db).frame()
    metrics = rows[rows["part"] == "metrics"].set_index("name")
    named = [name for name in metrics.index if name.startswith("test_top3 (")]
    assert len(named) == 2
    assert metrics.loc[named, ["first", "second"]].isna().to_numpy().sum() == 2
    same = api.diff("asked:0", "asked:1", db=db).frame()
    assert "test_top3" in set(same[same["part"] == "metrics"]["name"])
    assert "code" not in set(same["part"])
    # the same runs under both specs
    with api.allow_code(before / "metrics.py"):
        do_spec(before / "others.yaml", other)
    record = api.show("asked:0", db=db).record
    assert len([name for name in record["epochs"][-1] if name.startswith("test_top3 (")]) == 2
    assert len(record["metrics"]) == 4
    do(before, SPEC)
    assert "test_top3" in api.show("asked:0", db=db).record["epochs"][-1]
    (before / "others.yaml").write_text(SPEC.replace("asked", "others"))
    api.run(before / "others.yaml", db=db)
    stale = [name for name in api.show("asked:0", db=db).record["epochs"][-1] if "_own_" in name]
    assert len(stale) == 6


@pytest.mark.slow
def test_edited_code_between_two_specs_is_shown_line_by_line(before: Path) -> None:
    do(before, ASKED)
    (before / "metrics.py").write_text(CODE.replace(".item()", ".item() / 2"))
    other = ASKED.replace("asked", "others").replace("[0.1, 0.2]", "[0.3]").replace("k: 2", "k: 4")
    with api.allow_code(before / "metrics.py"):
        do_spec(before / "others.yaml", other)
    rows = api.diff("asked:0", "others:0", db=before / "results.db").frame()
    lines = rows[rows["part"] == "code"]
    assert set(lines["name"]) == {"metrics.py:6"}
    assert all(line.strip().endswith(".item() / 2") for line in lines["second"])
    settings = rows[rows["part"] == "settings"].set_index("name")
    assert settings.loc["metrics.top2.k", ["first", "second"]].tolist() == [2, 4]
    assert "metrics.top3.k" not in settings.index


@pytest.mark.slow
def test_figures_over_a_setting_show_metrics_by_their_names(before: Path) -> None:
    figures = "figures: {tops: {name: setting, metrics: [test_top2, val_top3 - test_top3]}}\n"
    text = ASKED.replace("GAP: {metric: val_top3", "VAL3: val_top3\n    GAP: {metric: val_top3")
    do(before, text + figures)
    with api.allow_code(before / "metrics.py"):
        path = before / "tops.svg"
        api.plot(before / "asked.yaml", "tops", out=path, db=before / "results.db")
    drawn = path.read_text()
    assert "top2" in drawn
    assert "val_top3 - test_top3" in drawn
    assert "own_" not in drawn
    wrong = figures.replace("test_top2", "test_top9")
    with pytest.raises(SpecError, match="unknown metric 'test_top9'"):
        do(before, text + wrong)


@pytest.mark.slow
def test_other_tools_get_the_metrics_that_an_experiment_names(before: Path) -> None:
    do(before, ASKED)
    (before / "metrics.py").write_text(CODE.replace(".item()", ".item() / 2"))
    do(before, ASKED)
    api.export_records("csv", "asked", place=before / "numbers", db=before / "results.db")
    text = "".join(path.read_text() for path in sorted((before / "numbers").rglob("*.csv")))
    named = set(re.findall(r"\b(\w+_top[23]\w*)", text))
    assert {name[: name.index("top") + 4] for name in named} == {
        "test_top2",
        "test_top3",
        "val_top3",
    }
    assert all(re.search(r"top\d_[0-9a-f]{12}$", name) for name in named)
    assert len(named) == 3
    assert "own_" not in text
