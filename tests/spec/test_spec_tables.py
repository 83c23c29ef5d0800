import pytest

from runner.core.errors import SpecError
from runner.spec.tables.table import Table, parse_tables
from runner.spec.yaml_loader import parse_yaml


def table_of(text: str, labels: tuple[str, ...] = ("NET",)) -> Table:
    (table,) = parse_tables(parse_yaml(text, "a.yaml"), labels)
    return table


@pytest.mark.parametrize(
    ("text", "kind", "source"),
    [
        ("lr", "setting", "train.optimizer.lr"),
        ("train.epochs", "setting", "train.epochs"),
        ("{setting: lr}", "setting", "train.optimizer.lr"),
        ("seed", "setting", "seed"),
        ("NET", "label", "NET"),
        ("{label: NET}", "label", "NET"),
        ("val_accuracy", "metric", "val_accuracy"),
        ("seconds", "metric", "seconds"),
        ("{metric: train_loss - val_loss}", "metric", "train_loss - val_loss"),
    ],
)
def test_column_is_a_setting_a_label_or_a_metric(text: str, kind: str, source: str) -> None:
    (column,) = table_of(f"t: {{X: {text}}}").columns
    assert (column.title, column.kind, column.source) == ("X", kind, source)
    assert (column.formula is not None) == (kind == "metric")


@pytest.mark.parametrize(
    ("at", "expected"), [("best", "best"), ("last", "last"), ("min", "min"), ("3", 3)]
)
def test_metric_is_shown_at_an_epoch(at: str, expected: object) -> None:
    (column,) = table_of(f"t: {{X: {{metric: val_loss, at: {at}, mark: min, digits: 2}}}}").columns
    assert (column.at, column.mark, column.digits) == (expected, "min", 2)


def test_metric_is_shown_at_the_best_epoch_unless_told() -> None:
    (column,) = table_of("t: {X: val_loss}").columns
    assert (column.at, column.mark, column.digits) == ("best", None, None)


def test_table_may_have_an_order_and_a_text() -> None:
    table = table_of("t: {about: hello, columns: {LR: lr, ACC: val_accuracy}, order: [LR, -ACC]}")
    assert (table.about, table.order) == ("hello", (("LR", False), ("ACC", True)))
    assert table.column("ACC").source == "val_accuracy"
    assert table.column("nothing") is None


def test_order_may_be_one_column() -> None:
    assert table_of("t: {columns: {LR: lr}, order: LR}").order == (("LR", False),)


def test_setting_hides_a_label_of_its_name() -> None:
    assert table_of("t: {X: lr}", ("lr",)).columns[0].kind == "setting"
    assert table_of("t: {X: {label: lr}}", ("lr",)).columns[0].kind == "label"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "t: []",
        "t: {columns: {}}",
        "t: {columns: {LR: lr}, about: [a]}",
        "t: {columns: {LR: lr}, order: {LR: 1}}",
        "t: {columns: {LR: lr}, order: [3]}",
        "t: {X: null}",
        "t: {X: 3}",
        "t: {X: [lr]}",
        "t: {X: {}}",
        "t: {X: {metric: 3}}",
        "t: {X: {metric: val_loss, at: true}}",
        "t: {X: {metric: val_loss, at: -1}}",
        "t: {X: {metric: val_loss, digits: 99}}",
        "t: {X: {setting: learning.rate}}",
        "t: {X: {setting: lr, mark: max}}",
    ],
)
def test_wrong_table_is_a_spec_error_with_its_position(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        table_of(text)
    assert all(problem.position is not None for problem in caught.value.problems)
