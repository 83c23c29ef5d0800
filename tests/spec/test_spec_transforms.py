"""Short forms of the transforms of `robustness`."""

import pytest

from runner.components.analyses.robustness import Robustness
from runner.components.corruptions.constants import KINDS
from runner.spec.analyses import parse_analyses
from runner.spec.yaml_loader import parse_yaml


def parsed(transforms: str) -> Robustness:
    asked = parse_yaml(f"hurt: {{name: robustness, transforms: {transforms}}}", "spec.yaml")
    settings = parse_analyses(asked)["hurt"].settings
    assert isinstance(settings, Robustness)
    return settings


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("[fog]", "[{name: corruption, kind: fog}]"),
        (
            "[fog, RandomHorizontalFlip]",
            "[{name: corruption, kind: fog}, {name: RandomHorizontalFlip}]",
        ),
        ("cifar10_c", f"[{', '.join(KINDS)}]"),
        ("[cifar10_c]", f"[{', '.join(KINDS)}]"),
    ],
)
def test_a_word_stands_for_a_transform(short: str, long: str) -> None:
    assert parsed(short) == parsed(long)


def test_a_corruption_alone_has_every_severity() -> None:
    assert parsed("[fog]").transforms[0].numbers() == [1, 2, 3, 4, 5]
