"""Every wrong spec in ``errors/`` gives exactly the message beside it.

Lists of all components of a kind stand there as ``<all models>``, and those of all metrics
likewise, so that a new component or measure changes no message. ``UPDATE_GOLDEN=1 pytest
tests/spec/test_spec_errors.py`` writes the messages anew.
"""

import os
from pathlib import Path
from typing import Any, get_args

import pytest

from runner.components.augmentations import Operation
from runner.components.augmentations.pipeline import Step
from runner.components.data import Data
from runner.components.measures import METRIC_NAMES, Monitor, TrainingMonitor
from runner.components.models import Model
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule
from runner.core.errors import SpecError
from runner.spec.experiment import load_experiment
from runner.spec.figures.kinds import FigureKind
from runner.spec.options import model_options, shorten_list, tags_of

FOLDER = Path(__file__).parent / "errors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


UNIONS = {
    "steps": Step,
    "augmentations": Operation,
    "data sets": Data,
    "models": Model,
    "optimizers": Optimizer,
    "schedules": Schedule,
    "kinds of figures": FigureKind,
}


METRICS = {
    "metrics": METRIC_NAMES,
    "monitors of training": get_args(TrainingMonitor),
    "monitors": get_args(Monitor),
}


def names_in(union: Any) -> str:
    """Return the names of the components of ``Annotated[A | B, …]``, as messages list them."""
    return shorten_list([tag for option in model_options(union) for tag in tags_of(option)])


def folded(message: str) -> str:
    """Return a message with ``<all models>`` for the list of all models, and so on."""
    for kind, union in UNIONS.items():
        message = message.replace(names_in(union), f"<all {kind}>")
    for kind, names in METRICS.items():
        message = message.replace(", ".join(names), f"<all {kind}>")
    return message


@pytest.mark.parametrize("name", NAMES)
def test_wrong_spec_gives_its_golden_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        load_experiment(Path(f"{name}.yaml"))
    message = folded(f"{caught.value}\n")
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(message, encoding="utf-8")
    assert message == golden.read_text(encoding="utf-8")


def test_messages_list_the_names_in_the_order_of_the_union() -> None:
    assert names_in(Step).startswith("RandomHorizontalFlip, RandomVerticalFlip, RandomCrop, ")
    assert names_in(Step) == f"{names_in(Operation)}, one_of"
    assert folded(f"allowed: {names_in(Step)}, or a mapping") == (
        "allowed: <all steps>, or a mapping"
    )


def test_every_message_belongs_to_a_spec() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == NAMES
