from runner.core.errors import Problem, SourcePosition, SpecError, nearest


def test_problem_says_place_finding_spelling_and_what_is_allowed() -> None:
    problem = Problem(SourcePosition("a.yaml", 3, 5), "unknown key 'epoch'", "epochs, lr", "epochs")
    assert str(problem) == (
        "a.yaml:3:5: unknown key 'epoch'\n    did you mean: epochs\n    allowed: epochs, lr"
    )


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
