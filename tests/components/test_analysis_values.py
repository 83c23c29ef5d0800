"""Which values each analysis records, by its semantics."""

from typing import get_args

from runner.components.analyses import Analysis
from runner.components.analyses.analysis import AnalysisSettings

RECORDED: dict[tuple[str, int], set[str]] = {
    ("robustness", 1): {
        "accuracy",
        "balanced_accuracy",
        "corruption_error",
        "loss",
        "macro_f1",
        "mean_corruption_error",
        "severity_error",
    },
    ("predictions", 1): {"auroc", "f1", "images", "precision", "recall"},
    ("filters", 1): set(),
    ("neurons", 1): set(),
    ("saliency", 1): {"probability"},
    ("embedding", 1): {"neighbour_accuracy"},
    ("sizes", 1): {
        "field_height",
        "field_width",
        "multiply_adds",
        "parameters",
        "stride_height",
        "stride_width",
        "trainable",
    },
}
"""Names of values by analysis and semantics. What is recorded under a key stays as it is: a new
name stands under a new semantics, and the line before it stays."""


def test_values_of_an_analysis_are_those_of_its_semantics() -> None:
    kinds: list[type[AnalysisSettings]] = list(get_args(get_args(Analysis)[0]))
    assert len(kinds) > 1
    for kind in kinds:
        name = get_args(kind.model_fields["name"].annotation)[0]
        assert set(kind.VALUES) == RECORDED[name, kind.semantics], name
