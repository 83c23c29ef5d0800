"""Where a metric of a table comes from: what runs record, and what their kept weights give."""

from typing import Any

import pytest

from runner.components.settings import Settings, available_metrics
from runner.spec.tables.measured import metric_is_recorded, weights_for_metric


def settings_of(**sections: Any) -> Settings:
    plain = {"data": {"dataset": "digits"}, "model": {"name": "mlp"}, **sections}
    return Settings.model_validate(plain)


TESTED_LAST = {"evaluate": {"test": "last"}}
LAST = {"train": {"best": {"monitor": "last"}}}
EACH_EPOCH = {"evaluate": {"test": "each_epoch"}}


@pytest.mark.parametrize(
    ("name", "at", "sections", "expected"),
    [
        ("test_top5_accuracy", "best", {}, "best"),
        ("test_top5_accuracy", "max", {}, "best"),
        ("test_top5_accuracy", "last", {}, None),
        ("test_top5_accuracy", "last", TESTED_LAST, "last"),
        ("test_top5_accuracy", "min", TESTED_LAST, "last"),
        ("test_top5_accuracy", "best", TESTED_LAST, None),
        ("test_top5_accuracy", "best", EACH_EPOCH, "best"),
        ("test_top5_accuracy", "max", EACH_EPOCH, None),
        ("test_top5_accuracy", "best", {"evaluate": {"test": "never"}}, None),
        ("val_top5_accuracy", "best", {}, "best"),
        ("val_top5_accuracy", "last", {}, None),
        ("val_top5_accuracy", "last", LAST, "best"),
        ("val_top5_accuracy", "last", TESTED_LAST, "last"),
        ("val_top5_accuracy", 3, {}, None),
        ("val_top5_accuracy", "best", {"data": {"dataset": "digits", "validation": 0.0}}, None),
        ("train_eval_top5_accuracy", "best", {}, None),
        ("train_eval_top5_accuracy", "best", {"evaluate": {"train_eval": "full"}}, "best"),
        ("train_top5_accuracy", "best", {}, None),
        ("val_accuracy", "best", {}, None),
        ("test_accuracy", "best", {}, None),
    ],
)
def test_weights_for_metric_are_those_that_the_run_keeps_of_an_evaluated_split(
    name: str, at: str | int, sections: dict[str, Any], expected: str | None
) -> None:
    assert weights_for_metric(name, at, settings_of(**sections)) == expected


def test_monitored_measure_is_recorded_each_epoch_and_needs_no_weights() -> None:
    watched = settings_of(train={"early_stopping": {"monitor": "val_top5_accuracy"}})
    assert watched.train.early_stopping.mode == "max"
    assert "train_top5_accuracy" in available_metrics(watched)
    assert metric_is_recorded("val_top5_accuracy", "max", watched)
    assert weights_for_metric("val_top5_accuracy", "best", watched) is None
    assert not metric_is_recorded("test_top5_accuracy", "best", watched)


def test_metrics_of_each_epoch_are_those_of_before_without_such_a_monitor() -> None:
    assert available_metrics(
        settings_of(evaluate={"train_eval": "full", "test": "each_epoch"})
    ) == (
        *("train_loss", "train_accuracy", "train_eval_loss", "train_eval_accuracy"),
        *("val_loss", "val_accuracy", "test_loss", "test_accuracy"),
    )
