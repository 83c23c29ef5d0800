"""Every wrong spec in ``errors/`` gives exactly the message beside it.

``UPDATE_GOLDEN=1 pytest tests/spec/test_spec_errors.py`` writes the messages anew.
"""

import os
from pathlib import Path

import pytest

from runner.core.errors import SpecError
from runner.spec.experiment import load_experiment

FOLDER = Path(__file__).parent / "errors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_spec_gives_its_golden_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        load_experiment(Path(f"{name}.yaml"))
    message = f"{caught.value}\n"
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(message, encoding="utf-8")
    assert message == golden.read_text(encoding="utf-8")


def test_every_message_belongs_to_a_spec() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == NAMES
