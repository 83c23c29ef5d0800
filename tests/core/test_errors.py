from pathlib import Path

import pytest

import runner
from runner.core.errors import (
    DataError,
    DiskFull,
    Problem,
    RunnerError,
    SourcePosition,
    SpecError,
    StoreError,
    UsageError,
    nearest,
)


def test_problem_says_place_finding_spelling_and_what_is_allowed() -> None:
    problem = Problem(
        SourcePosition("a.yaml", 3, 5), "unknown key 'epoch'", "epochs, lr", suggestion="epochs"
    )
    assert str(problem) == (
        "a.yaml:3:5: unknown key 'epoch'\n    did you mean: epochs\n    allowed: epochs, lr"
    )


def test_problem_prints_hint_apart_from_allowed() -> None:
    problem = Problem(None, "epochs is 0", "at least 1", hint="one is enough", suggestion="1")
    assert str(problem) == (
        "epochs is 0\n    did you mean: 1\n    allowed: at least 1\n    hint: one is enough"
    )


@pytest.mark.parametrize("kind", [RunnerError, UsageError, DataError, StoreError])
def test_errors_print_what_they_are_given_as_problems_do(kind: type[RunnerError]) -> None:
    parts = {"allowed": "a, b", "hint": "try again", "suggestion": "a"}
    error = kind("no c", **parts)
    assert str(error) == str(Problem(None, "no c", **parts))
    assert (error.found, error.allowed, error.hint, error.suggestion) == (
        ("no c", "a, b", "try again", "a")
    )
    assert str(kind("no c")) == "no c"


def test_parts_of_several_lines_begin_below_their_label() -> None:
    error = UsageError("no such cell", allowed="lr: 0.1\nseed: 0")
    assert str(error) == "no such cell\n    allowed:\n        lr: 0.1\n        seed: 0"


def test_disk_full_says_in_a_hint_how_to_go_on() -> None:
    assert DiskFull("quota").found == "the disk is full (quota); what was recorded is safe"
    assert DiskFull("quota").hint.endswith("run the same command again")


@pytest.mark.parametrize(
    "label", ["did you mean", r"\n    allowed:", r"\n    hint:", r"\n    there are:"]
)
def test_error_texts_are_put_together_in_one_module(label: str) -> None:
    package = Path(runner.__file__).parent
    modules = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if label in path.read_text(encoding="utf-8")
    ]
    assert set(modules) <= {"core/errors.py"}


def test_problem_without_a_line_names_its_source_only() -> None:
    assert str(Problem(SourcePosition("--set lr=x", 0, 0), "lr is 'x'")) == "--set lr=x: lr is 'x'"
    assert str(Problem(None, "no such file")) == "no such file"


def test_spec_error_lists_each_problem_once_in_the_order_of_the_file() -> None:
    late, early = (
        Problem(SourcePosition("a", 9, 1), "late"),
        Problem(SourcePosition("a", 2, 7), "early"),
    )
    nowhere = Problem(None, "nowhere")
    error = SpecError([late, early, nowhere, late])
    assert error.problems == (nowhere, early, late)
    assert error.exit_code == 2


def test_nearest_ignores_case_and_keeps_the_spelling_of_the_list() -> None:
    assert nearest("test_acc", ["LR", "TEST_ACC"]) == "TEST_ACC"


def test_nearest_is_empty_when_nothing_is_alike() -> None:
    assert nearest("xyzzy", ["epochs", "lr"]) == ""
