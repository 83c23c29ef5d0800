"""A melted table has a row for each metric, with its published value."""

from pathlib import Path

import pytest

from runner.api.reporting import report
from runner.api.running import run
from runner.core.errors import SpecError
from runner.report.tables.render import render
from runner.spec.experiment import load_experiment
from runner.spec.tables.melt import melted_columns

SPEC = """\
name: melted
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 1, batch_size: 512}
sweep: {rows: [{label: small, published: {best: 0.5, TEST: 0.4}}]}
tables:
  melted:
    columns:
      NET: label
      best: {metric: val_accuracy, digits: 2}
      TEST: {metric: test_accuracy, digits: 2}
    melt: {names: SPLIT, values: ACCURACY}
"""


@pytest.mark.slow
def test_melted_table_has_a_row_for_each_metric(tmp_path: Path) -> None:
    spec = tmp_path / "melted.yaml"
    spec.write_text(SPEC)
    run(spec, db=tmp_path / "results.db", threads=1, device="cpu")
    (table,) = report("melted", db=tmp_path / "results.db").tables
    frame = report("melted", db=tmp_path / "results.db").frame()
    assert list(frame.columns) == [
        "NET",
        "SPLIT",
        "ACCURACY",
        "ACCURACY_published",
        "ACCURACY_difference",
        "status",
    ]
    assert list(zip(frame.SPLIT, frame.ACCURACY_published, strict=True)) == [
        ("best", 0.5),
        ("TEST", 0.4),
    ]
    difference = frame.ACCURACY - frame.ACCURACY_published
    assert frame.ACCURACY_difference.tolist() == pytest.approx(difference.tolist())
    text = render(table).splitlines()
    assert text[1].split() == ["NET", "SPLIT", "ACCURACY", "published", "difference"]
    assert text[3].split()[:2] == ["small", "best"]
    assert len(text[3].split()[2]) == len("0.12")


def test_table_is_pivoted_or_melted(tmp_path: Path) -> None:
    spec = tmp_path / "both.yaml"
    spec.write_text(SPEC + "    pivot: NET\n")
    with pytest.raises(SpecError, match="a pivot and a melt"):
        load_experiment(spec)


@pytest.mark.parametrize(
    ("first", "second", "marked"), [("max", "max", "max"), ("max", "min", None), ("", "max", None)]
)
def test_the_best_of_melted_metrics_is_marked_where_all_mark_alike(
    tmp_path: Path, first: str, second: str, marked: str | None
) -> None:
    spec, text = tmp_path / "marked.yaml", SPEC
    for metric, mark in (("val_accuracy", first), ("test_accuracy", second)):
        text = text.replace(metric, f"{metric}, mark: {mark}" if mark else metric)
    spec.write_text(text)
    (table,) = load_experiment(spec).tables
    assert melted_columns(table)[-1].mark == marked
