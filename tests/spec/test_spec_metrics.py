"""The `metrics` of a spec: their names, their settings, and where tables may show them."""

from pathlib import Path

import pytest

from runner.components.own.permission import allow_code
from runner.core.errors import SpecError
from runner.spec.experiment import Experiment, load_experiment, recorded_tables
from runner.spec.schema import spec_schema

CODE = """
class TopK:
    def __init__(self, k: int = 3):
        self.k = k

    def __call__(self, logits, labels):
        return (logits.topk(self.k, 1).indices == labels[:, None]).any(1).float().mean()
"""
HEAD = """\
name: measured
data: digits
model: mlp
train: {epochs: 1}
"""
TOP = 'metrics:\n  top3: {name: "metrics.py:TopK", k: 3}\n'
TABLE = "tables:\n  measured:\n    columns: "


def load(folder: Path, text: str) -> Experiment:
    (folder / "metrics.py").write_text(CODE)
    (folder / "measured.yaml").write_text(HEAD + text)
    with allow_code(folder / "metrics.py"):
        return load_experiment(folder / "measured.yaml")


def load_cell_key(folder: Path) -> str:
    return load(folder, TOP).cells[0].cell.settings_key


def problem(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def test_columns_and_formulas_name_a_metric_behind_a_split(tmp_path: Path) -> None:
    columns = "{A: test_top3, B: {metric: test_top3 - 2 * val_top3 + train_loss, at: best}}"
    experiment = load(tmp_path, f"{TOP}{TABLE}{columns}\n")
    key = experiment.metrics["top3"].key
    (table,) = experiment.tables
    one, two = (column.formula for column in table.columns)
    assert one is not None
    assert two is not None
    assert one.names == (f"test_{key}",)
    assert two.names == (f"test_{key}", f"val_{key}", "train_loss")
    assert two.text == "test_top3 - 2 * val_top3 + train_loss"
    assert [two.shown(name) for name in two.names] == ["test_top3", "val_top3", "train_loss"]


def test_recorded_tables_need_no_code(tmp_path: Path) -> None:
    experiment = load(tmp_path, f"{TOP}{TABLE}{{A: test_top3 , B: test_loss}}\n")
    (tmp_path / "metrics.py").unlink()
    (recorded,), (table,) = recorded_tables(experiment.document), experiment.tables
    assert [each.formula for each in recorded.columns] == [each.formula for each in table.columns]


def test_run_keys_do_not_know_metrics(tmp_path: Path) -> None:
    keys = [load(tmp_path, text).cells[0].cell.settings_key for text in ("", TOP)]
    assert keys[0] == keys[1]


def test_two_settings_of_a_class_are_two_metrics_and_two_names_of_one_are_one(
    tmp_path: Path,
) -> None:
    more = '  top2: {name: "metrics.py:TopK", k: 2}\n  again: "metrics.py:TopK"\n'
    metrics = load(tmp_path, TOP + more).metrics
    assert metrics["top3"].key == metrics["again"].key != metrics["top2"].key


def test_a_spec_without_tables_shows_its_metrics(tmp_path: Path) -> None:
    (table,) = load(tmp_path, TOP).tables
    assert [each.title for each in table.columns] == [
        "VAL_ACC",
        "TEST_ACC",
        "VAL_TOP3",
        "TEST_TOP3",
    ]


def test_profiles_and_set_change_settings_of_metrics(tmp_path: Path) -> None:
    load(tmp_path, f"{TOP}profiles: {{five: {{metrics.top3.k: 5}}}}\n")
    spec = tmp_path / "measured.yaml"
    with allow_code(tmp_path):
        changed = load_experiment(spec, "five")
        by_hand = load_experiment(spec, sets=["metrics.top3.k=5"])
        with pytest.raises(SpecError, match="no metric 'top4'"):
            load_experiment(spec, sets=["metrics.top4.k=5"])
        with pytest.raises(SpecError, match="metric top3: k is 'x'"):
            load_experiment(spec, sets=["metrics.top3.k=x"])
    assert changed.metrics["top3"].key == by_hand.metrics["top3"].key
    assert changed.metrics["top3"].settings.k == 5  # type: ignore[attr-defined]
    assert (changed.variant, by_hand.variant) == ("profile five", "metrics.top3.k=5")
    assert changed.cells[0].cell.settings_key == load_cell_key(tmp_path)
    wrong = "profiles: {five: {metrics.top3.kk: 5}}\n"
    assert "unknown setting 'kk' in metric top3" in problem(tmp_path, TOP + wrong)


def test_metrics_of_an_extended_spec_are_inherited_where_they_are_kept(tmp_path: Path) -> None:
    load(tmp_path, TOP)
    for extends, names in (
        ("measured.yaml", []),
        ("{file: measured.yaml, keep: [metrics]}", ["top3"]),
    ):
        (tmp_path / "more.yaml").write_text(f"name: more\nextends: {extends}\n")
        with allow_code(tmp_path):
            assert list(load_experiment(tmp_path / "more.yaml").metrics) == names


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ("{loss: {name: 'metrics.py:TopK'}}", "5:11: metric loss: train_loss is a number of the"),
        ("{seconds: {name: 'metrics.py:TopK'}}", "5:11: metric seconds: train_seconds is a"),
        ("{eval_x: {name: 'metrics.py:TopK'}}", "5:11: metric eval_x: a name cannot begin with"),
        (
            "{top-3: {name: 'metrics.py:TopK'}}",
            "5:11: a metric is called 'top-3'\n    allowed: at most 60",
        ),
        ("{top3: {k: 3}}", "5:11: metric top3 lacks 'name'\n    allowed: FILE.py:CLASS"),
        ("{top3: accuracy}", "5:17: metric top3 names 'accuracy' (text), which is no"),
        ("{top3: [1]}", "5:17: metric top3 is a list"),
        ("[1]", "5:11: metrics names 1"),
        ("3", "5:10: metrics is 3\n    allowed: metrics by name, as {top3:"),
        ("{top3: {name: 'metrics.py:TopK', k: x}}", "5:46: metric top3: k is 'x'"),
        ("{top3: {name: 'metrics.py:TopK', kk: 3}}", "5:43: unknown setting 'kk' in metric top3"),
        ("{top3: {name: 'metrics.py:Top'}}", "metrics.py has no class Top"),
        ("{top3: {name: 'metric.py:TopK'}}", "5:24: 'metric.py:TopK' is in no file that is"),
    ],
)
def test_what_is_no_metric_is_refused_where_it_stands(
    metrics: str, told: str, tmp_path: Path
) -> None:
    assert told in problem(tmp_path, f"metrics: {metrics}\n")


def test_columns_say_what_there_is_and_what_no_run_has(tmp_path: Path) -> None:
    found = problem(tmp_path, f"{TOP}{TABLE}{{A: test_top4}}\n")
    assert "test_top3" in found
    assert "did you mean: test_top3" in found
    told = problem(tmp_path, f"{TOP}{TABLE}{{A: {{metric: val_top3, at: max}}}}\n")
    assert "column A shows val_top3 at max, which no run has\n    allowed: at: best" in told
    assert "it is measured on the weights that a run keeps, not after each epoch" in told
    told = problem(tmp_path, f"{TOP}{TABLE}{{A: train_top3}}\n")
    assert "column A shows train_top3 at best, which no run has" in told
    key = load(tmp_path, TOP).metrics["top3"].key
    assert "is no setting, label or metric" in problem(tmp_path, f"{TOP}{TABLE}{{A: test_{key}}}\n")


def test_without_permission_a_metric_is_an_error_at_its_name(tmp_path: Path) -> None:
    load(tmp_path, TOP)
    with pytest.raises(SpecError, match=r":6:16: 'metrics\.py:TopK' is Python code; allow it"):
        load_experiment(tmp_path / "measured.yaml")


def test_editors_know_the_section() -> None:
    schema = spec_schema()["properties"]["metrics"]
    assert schema["additionalProperties"]["oneOf"]
