"""Own metrics: what they are given, what they may give, and under which key their numbers stand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.components.component import canonical_settings
from runner.components.measures import is_metric, is_own_metric, measure_of, metric_parts
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.own.union import checked_class
from runner.components.own_metric import OwnMetric, metric_key
from runner.components.resolved import typed_metric
from runner.core.errors import UsageError
from runner.core.run import ResolvedSettings
from runner.engine.metric_probe import try_metric

TOP_K = """
class TopK:
    def __init__(self, k: int = 3):
        self.k = k

    def __call__(self, logits, labels):
        return (logits.topk(self.k, 1).indices == labels[:, None]).any(1).double().mean().item()
"""
LOGITS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 1.0, 5.0], [9.0, 8.0, 7.0]])
LABELS = torch.tensor([0, 1, 2, 2])


def own_metric(folder: Path, text: str = TOP_K, name: str = "TopK", **settings: Any) -> OwnMetric:
    (folder / "metrics.py").write_text(text)
    value = {"name": f"metrics.py:{name}", **settings}
    with allow_code(folder):
        return checked_class(OwnMetric, value).model_validate(value)


def giving(folder: Path, expression: str) -> OwnMetric:
    text = "import torch\n\n\nclass Given:\n    def __call__(self, logits, labels):\n"
    return own_metric(folder, f"{text}        return {expression}\n", "Given")


def test_it_is_given_all_logits_and_labels_and_its_settings(tmp_path: Path) -> None:
    for k, right in ((1, 0.5), (2, 0.75), (3, 1.0)):
        assert own_metric(tmp_path, k=k).measure_logits(LOGITS, LABELS) == right


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("len(labels)", 4.0),
        ("logits.sum()", 42.0),
        ("logits.numpy().max()", 9.0),
        ("float(labels.dtype == torch.int64 and logits.dtype == torch.float32)", 1.0),
    ],
)
def test_what_stands_for_one_number_is_a_float(
    expression: str, value: float, tmp_path: Path
) -> None:
    found = giving(tmp_path, expression).measure_logits(LOGITS, LABELS)
    assert (type(found), found) == (float, value)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("logits.mean(0)", r"gives a tensor \(3,\), not a float"),
        ("'0.5'", "gives str, not a float"),
        ("None", "gives NoneType, not a float"),
        ("True", "gives bool, not a float"),
        ("1j", "gives complex, not a float"),
        ("float('inf')", "gives inf"),
        ("logits[0] / labels[7]", r"does not take logits and labels: .*:6: IndexError"),
        ("exit(3)", "does not take logits and labels: .* it ended the process"),
    ],
)
def test_what_is_no_number_is_an_error_that_names_the_class(
    expression: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(OwnCodeFailed, match=rf"'metrics\.py:Given' {told}"):
        giving(tmp_path, expression).measure_logits(LOGITS, LABELS)


def test_images_of_which_it_says_nothing_have_no_number(tmp_path: Path) -> None:
    assert math.isnan(giving(tmp_path, "float('nan')").measure_logits(LOGITS, LABELS))


def test_it_changes_neither_what_it_is_given_nor_later_draws(tmp_path: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(2)
    metric = giving(tmp_path, "logits.zero_().sum() + torch.rand(()) + labels.zero_().sum()")
    logits, labels = LOGITS.clone(), LABELS.clone()
    torch.manual_seed(4)
    first, second = (metric.measure_logits(logits, labels) for _ in range(2))
    assert first == second
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(logits, LOGITS)
    assert torch.equal(labels, LABELS)


def test_key_is_of_code_and_settings(tmp_path: Path) -> None:
    keys = [metric_key(own_metric(tmp_path, k=k)) for k in (2, 3)]
    keys.append(metric_key(own_metric(tmp_path)))
    keys.append(metric_key(own_metric(tmp_path, TOP_K.replace("self.k,", "self.k + 0,"))))
    keys.append(metric_key(own_metric(tmp_path, f"# a comment\n{TOP_K}")))
    assert keys[1] == keys[2] == keys[4]
    assert len(set(keys)) == 3
    name = f"train_eval_{keys[0]}"
    assert metric_parts(name) == ("train_eval", keys[0])
    assert is_own_metric(name)
    assert is_metric(name)
    assert not measure_of(name).is_standard
    assert not is_metric(f"{name}0")
    assert not is_metric("test_own_x")


def test_recorded_settings_are_not_of_other_code_nor_without_permission(tmp_path: Path) -> None:
    recorded = canonical_settings(own_metric(tmp_path, k=2))
    with allow_code(tmp_path):
        assert typed_metric(ResolvedSettings(recorded)).measure_logits(LOGITS, LABELS) == 0.75
    with pytest.raises(UsageError, match=r"is Python code; allow it with --code metrics\.py"):
        typed_metric(ResolvedSettings(recorded))
    own_metric(tmp_path, TOP_K.replace("self.k,", "1,"))
    with allow_code(tmp_path), pytest.raises(UsageError, match="is other code now than it was"):
        typed_metric(ResolvedSettings(recorded))


REMEMBERS = """
class Counts:
    seen = 0

    def __call__(self, logits, labels):
        type(self).seen += 1
        return self.seen
"""


@pytest.mark.slow
def test_a_metric_is_tried_on_each_number_of_classes(tmp_path: Path) -> None:
    for metric in (own_metric(tmp_path), giving(tmp_path, "float('nan')")):
        for outputs in (3, 10, 5000):
            try_metric(metric, outputs)
    try_metric(giving(tmp_path, "torch.rand(())"), 3)
    with pytest.raises(OwnCodeFailed, match=r"'metrics\.py:TopK' does not take .* RuntimeError"):
        try_metric(own_metric(tmp_path, k=4), 3)
    counts = own_metric(tmp_path, REMEMBERS, "Counts")
    with pytest.raises(OwnCodeFailed, match="gives other numbers for the same logits"):
        try_metric(counts, 3)
