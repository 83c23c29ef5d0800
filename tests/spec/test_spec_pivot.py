"""Pivots as declared; ``errors/pivot_*.yaml`` are the wrong ones."""

from pathlib import Path

import pytest

from runner.core.errors import SpecError
from runner.spec.experiment import Experiment, build_experiment, recorded_tables
from runner.spec.schema import spec_schema
from runner.spec.tables.pivot import PIVOT_KEYS, is_value, pivoted_columns, row_columns, show_value
from runner.spec.tables.table import TABLE_KEYS, Table, parse_tables
from runner.spec.yaml_loader import parse_yaml

COLUMNS = "{NET: NET, ACC: {metric: val_accuracy, mark: max, digits: 2}, LR: lr, POLICY: POLICY}"
SEVERAL = "{ACC: val_accuracy, POLICY: POLICY, NET: NET, LOSS: {metric: val_loss, at: min}}"
FULL = "pivot: {column: POLICY, titles: {freeze: ACC_FREEZE}}"


def table_of(rest: str) -> Table:
    (table,) = parse_tables(parse_yaml(f"t: {{{rest}}}", "a.yaml"), ("NET", "POLICY"))
    return table


def titles(table: Table, *values: object) -> list[str]:
    return [column.title for column, _, _ in pivoted_columns(table, values)]


def test_pivot_names_a_column_and_may_give_titles() -> None:
    short = table_of(f"columns: {COLUMNS}, pivot: POLICY").pivot
    assert (short.column, short.titles) == ("POLICY", {})
    full = table_of(f"columns: {COLUMNS}, {FULL}").pivot
    assert (full.column, full.titles["freeze"].value) == ("POLICY", "ACC_FREEZE")
    assert table_of(f"columns: {COLUMNS}").pivot is None


def test_other_settings_and_labels_make_the_rows() -> None:
    table = table_of(f"columns: {COLUMNS}, pivot: NET, order: [-POLICY, LR]")
    assert [column.title for column in row_columns(table)] == ["LR", "POLICY"]
    assert table.order == (("POLICY", True), ("LR", False))


def test_single_metric_is_titled_by_the_values() -> None:
    table = table_of(f"columns: {COLUMNS}, pivot: POLICY")
    assert titles(table, "whole", "freeze") == ["NET", "whole", "freeze", "LR"]
    made = {column.title: (column, declared) for column, declared, _ in pivoted_columns(table, "x")}
    column, declared = made["x"]
    assert declared is table.column("ACC")
    assert (column.mark, column.digits, column.source) == ("max", 2, "val_accuracy")


def test_titles_replace_values_that_have_one() -> None:
    table = table_of(f"columns: {COLUMNS}, {FULL}")
    assert titles(table, "whole", "freeze") == ["NET", "whole", "ACC_FREEZE", "LR"]


def test_metrics_each_have_a_column_per_value_where_they_are_declared() -> None:
    table = table_of(f"columns: {SEVERAL}, pivot: {{column: POLICY, titles: {{freeze: F}}}}")
    wanted = ["ACC whole", "ACC F", "NET", "LOSS whole", "LOSS F"]
    assert titles(table, "whole", "freeze") == wanted
    values = [value for column, _, value in pivoted_columns(table, ["whole", "freeze"])]
    assert values == ["whole", "freeze", None, "whole", "freeze"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.001, "0.001"), (1e-05, "1e-05"), (2.0, "2"), (3, "3"), ("a b", "a b")],
)
def test_value_is_titled_as_a_table_shows_it(value: object, shown: str) -> None:
    assert show_value(value) == shown
    assert titles(table_of(f"columns: {COLUMNS}, pivot: LR"), value) == ["NET", shown, "POLICY"]


@pytest.mark.parametrize(
    ("written", "value", "same"),
    [
        ("0.001", 0.001, True),
        ("1e-3", 0.001, True),
        ("8", 8, True),
        ("8.0", 8, True),
        ("0.01", 0.001, False),
        ("adam", 0.001, False),
        ("adam", "adam", True),
        ("Adam", "adam", False),
        ("0.10", "0.1", False),
        ("true", "true", True),
        ("null", None, True),
        ("–", None, True),
        ("none", None, False),
    ],
)
def test_title_is_for_the_value_that_its_key_means(written, value, same) -> None:
    assert is_value(written, value) is same
    table = table_of(f"columns: {COLUMNS}, pivot: {{column: LR, titles: {{{written}: TITLE}}}}")
    assert ("TITLE" in titles(table, value)) is same


SPEC = """
name: a
data: digits
model: mlp
sweep:
  zip: {lr: [0.1, 0.2], batch_size: [4, 8]}
  grid: {dropout: [0, 0.5]}
tables:
  t:
    pivot: {column: LR, titles: {0.1: LOW}}
    columns: {DROPOUT: dropout, LR: lr, ACC: val_accuracy}
profiles: {smoke: {epochs: 1}}
"""


def build(text: str, *sets: str, profile: str | None = None) -> Experiment:
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), profile, sets)


def test_pivot_is_recorded_with_the_table() -> None:
    experiment = build(SPEC)
    (recorded,) = recorded_tables(experiment.document)
    assert recorded.pivot is not None
    assert titles(recorded, 0.1, 0.2) == titles(experiment.tables[0], 0.1, 0.2)
    assert titles(recorded, 0.1, 0.2) == ["DROPOUT", "LOW", "0.2"]


@pytest.mark.parametrize("changed", ["lr=0.3", "dropout=0.1"])
def test_variant_may_move_cells_into_one_slot(changed: str) -> None:
    """Its runs are wanted all the same; what is the same run is one cell of the table."""
    assert len(build(SPEC, changed).cells) == 4
    assert len(build(SPEC, profile="smoke").cells) == 4


def test_difference_in_a_slot_names_only_what_no_column_shows() -> None:
    close = SPEC.replace("DROPOUT: dropout", "SIZE: batch_size")
    with pytest.raises(SpecError, match=r"differ in dropout \(0 and 0.5\)\n") as caught:
        build(close)
    assert [str(problem.position) for problem in caught.value.problems] == ["a.yaml:10:21"]


def test_values_that_look_alike_are_told_apart() -> None:
    close = SPEC.replace("dropout: [0, 0.5]", "dropout: [0.1234567, 0.1234568]")
    with pytest.raises(SpecError, match=r"dropout \(0.1234567 and 0.1234568\)"):
        build(close.replace("DROPOUT: dropout", "SIZE: batch_size"))
    with pytest.raises(SpecError, match=r"would have two columns '0\.123457'"):
        build(close.replace("{column: LR, titles: {0.1: LOW}}", "DROPOUT"))


def test_setting_that_differs_is_named_once() -> None:
    """Here it is swept itself, and within the optimizer that is swept."""
    swept = "grid: {lr: [0.1, 0.2], optimizer: [sgd, adam]}"
    hidden = SPEC.replace("zip: {lr: [0.1, 0.2], batch_size: [4, 8]}", swept)
    hidden = hidden.replace("  grid: {dropout: [0, 0.5]}\n", "")
    columns = "columns: {OPTIMIZER: optimizer, SIZE: batch_size, ACC: val_accuracy}"
    hidden = hidden.replace("columns: {DROPOUT: dropout, LR: lr, ACC: val_accuracy}", columns)
    with pytest.raises(
        SpecError, match=r"which differ in lr \(0\.1 and 0\.2\)\n.*\n.* for lr keeps"
    ):
        build(hidden.replace("{column: LR, titles: {0.1: LOW}}", "OPTIMIZER"))


def test_column_that_no_run_has_is_the_only_problem() -> None:
    with pytest.raises(SpecError) as caught:
        build(SPEC.replace("DROPOUT: dropout", "DROPOUT: model.dropuot"))
    assert len(caught.value.problems) == 1


@pytest.mark.slow
def test_schema_knows_the_keys() -> None:
    options, _ = spec_schema()["properties"]["tables"]["additionalProperties"]["anyOf"]
    assert set(options["properties"]) == set(TABLE_KEYS)
    text, mapping = options["properties"]["pivot"]["oneOf"]
    assert text == {"type": "string"}
    assert set(mapping["properties"]) == set(PIVOT_KEYS)
