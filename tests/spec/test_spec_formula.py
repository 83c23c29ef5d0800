import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.spec.tables.formula import FormulaError, parse_formula


@pytest.mark.parametrize(
    ("text", "tree", "names"),
    [
        ("val_loss", ("name", "val_loss"), ("val_loss",)),
        (" a - b ", ("-", ("name", "a"), ("name", "b")), ("a", "b")),
        ("a - b - a", ("-", ("-", ("name", "a"), ("name", "b")), ("name", "a")), ("a", "b")),
        ("a + b * 2", ("+", ("name", "a"), ("*", ("name", "b"), ("number", 2))), ("a", "b")),
        ("(a + b) / 2.5", ("/", ("+", ("name", "a"), ("name", "b")), ("number", 2.5)), ("a", "b")),
        ("100 * -a", ("*", ("number", 100), ("negative", ("name", "a"))), ("a",)),
        ("1e-3", ("number", 0.001), ()),
    ],
)
def test_formula_is_parsed(text: str, tree: tuple, names: tuple[str, ...]) -> None:
    formula = parse_formula(text)
    assert (formula.text, formula.tree, formula.names) == (text, tree, names)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a -",
        "a ** 2",
        "a // 2",
        "a % 2",
        "a < b",
        "a and b",
        "not a",
        "+a",
        "f(a)",
        "a.b",
        "a[0]",
        "a, b",
        "[a]",
        "'a'",
        "True",
        "None",
        "1j",
        "1e999",
        "a if b else c",
        "lambda: a",
        "a := 1",
        "a; b",
        "a\0b",
        "__import__('os')",
        "(" * 290 + "a",
        "a+" * 400 + "a",
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_text_that_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="formula") as refused:
        parse_formula(text)
    assert refused.value.allowed in ("metric names, numbers, + - * / and ()", "at most 300")


def test_deepest_formula_is_parsed() -> None:
    assert parse_formula("-" * 299 + "a").names == ("a",)


@given(st.text(alphabet="ab1.+-*/() e_", max_size=20))
def test_text_of_any_kind_is_a_formula_or_a_formula_error(text: str) -> None:
    try:
        formula = parse_formula(text)
    except FormulaError:
        return
    assert formula.text == text
