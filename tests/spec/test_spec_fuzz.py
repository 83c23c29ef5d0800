"""The fuzzer of specs: a few inputs each time, and that it finds what is wrong.

CI tries 20,000 inputs: ``python tools/fuzz_specs.py``.
"""

import time
from pathlib import Path
from typing import Any

import fuzz_checks
import fuzz_specs
import pytest
from fuzz_checks import Input, try_input
from fuzz_specs import fuzz, make_input, seeds

from runner.core.errors import Problem, SourcePosition, SpecError
from runner.spec.experiment import load_experiment

SPEC = b"name: a\ndata: {dataset: digits}\nmodel: mlp\n"


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seeds").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_mutated_specs_end_in_an_error_with_its_place_or_expand_twice_alike(tmp_path: Path) -> None:
    here = Path.cwd()
    tally = fuzz(seed=0, numbers=range(150), failures=tmp_path / "failures")
    assert tally.failures == [], (tmp_path / "failures" / f"0-{tally.failures[0]}.txt").read_text()
    assert tally.outcomes["valid"] > 3
    assert tally.outcomes["spec error"] > 100
    assert Path.cwd() == here


@pytest.mark.slow
def test_input_is_the_same_each_time() -> None:
    inputs = [make_input(seeds(), 7, number) for number in range(40)]
    assert inputs == [make_input(seeds(), 7, number) for number in reversed(range(40))][::-1]
    assert len({each.content for each in inputs}) > 30


@pytest.mark.usefixtures("beside")
def test_outcomes_of_fuzzing_are_told_apart() -> None:
    assert try_input(Input("seeds", SPEC)) == "valid"
    assert try_input(Input("seeds", b"\xff")) == "spec error"
    assert try_input(Input("seeds", SPEC, sets=("epochs",))) == "usage error"
    assert try_input(Input("seeds", SPEC, only=("b",))) == "usage error"


WRONG = {
    "a crash": KeyError("x"),
    "no position": SpecError([Problem(None, "wrong")]),
    "a line too many": SpecError([Problem(SourcePosition("seeds/mutated.yaml", 9, 1), "wrong")]),
    "a column too many": SpecError([Problem(SourcePosition("seeds/mutated.yaml", 1, 99), "wrong")]),
    "no text": SpecError([Problem(SourcePosition("seeds/mutated.yaml", 1, 1), "\ud800")]),
}


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("error", WRONG.values(), ids=WRONG)
def test_error_that_should_not_be_is_a_failure(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> None:
        raise error

    monkeypatch.setattr(fuzz_checks, "load_experiment", load)
    with pytest.raises((KeyError, AssertionError, UnicodeEncodeError)):
        try_input(Input("seeds", SPEC))


@pytest.mark.usefixtures("beside")
def test_another_expansion_the_second_time_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def load(path: Path, *options: Any) -> Any:
        calls.append(1)
        return load_experiment(path, None, [f"seed={len(calls)}"])

    monkeypatch.setattr(fuzz_checks, "load_experiment", load)
    with pytest.raises(AssertionError, match="other keys the second time"):
        try_input(Input("seeds", SPEC))


@pytest.mark.slow
def test_failing_input_is_written_with_the_way_to_make_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(each: Input, deep: bool) -> str:
        if b"experiment" in each.content or b"data" in each.content:
            raise KeyError("here it is")
        return "valid"

    monkeypatch.setattr(fuzz_specs, "try_input", load)
    tally = fuzz(3, range(5, 9), tmp_path)
    assert tally.failures
    name = f"3-{tally.failures[0]}"
    told = (tmp_path / f"{name}.txt").read_text()
    again = f"again: python tools/fuzz_specs.py --seed 3 --first {tally.failures[0]} --inputs 1\n"
    assert told.startswith(again)
    assert told.endswith("KeyError: 'here it is'\n")
    made = make_input(seeds(), 3, tally.failures[0])
    assert (tmp_path / f"{name}.yaml").read_bytes() == made.content


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="needs timers")
def test_input_that_never_ends_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(each: Input, deep: bool) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                sum(range(1000))
            except Exception:
                continue
        return "valid"

    monkeypatch.setattr(fuzz_specs, "SECONDS", 0.05)
    monkeypatch.setattr(fuzz_specs, "try_input", load)
    tally = fuzz(3, range(1), tmp_path)
    assert dict(tally.outcomes) == {"failure: TooSlow": 1}
