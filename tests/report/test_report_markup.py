from xml.etree import ElementTree

import pytest

from runner.report.tables.markup import (
    html_table,
    html_text,
    latex_table,
    latex_text,
    markdown_text,
)

RIGHT = [False, True]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50 % & more_or #1", r"50 \% \& more\_or \#1"),
        ("$x^2$ {a} ~ \\n", r"\$x\textasciicircum{}2\$ \{a\} \textasciitilde{} \textbackslash{}n"),
        ("[64, 32]", "{[}64, 32]"),
        ("a|b < c", r"a\textbar{}b \textless{} c"),
        ("–", "--"),
        ("*best*", "{*}best{*}"),
        ("-0.5 ± 0.1", r"$-$0.5 $\pm$ 0.1"),
        ("-net-1", "-net-1"),
        ("--lr `x` ''", r"-{}-lr \`{}x\`{} '{}'"),
        ("a\nb\udce9", r"a\textbackslash{}nb\textbackslash{}xe9"),
    ],
)
def test_latex_escapes_what_means_something_to_it(text: str, shown: str) -> None:
    assert latex_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("TEST_ACC", "TEST_ACC"),
        ("_a_ *b* `c` ~d~ $e$", r"\_a\_ \*b\* \`c\` \~d\~ \$e\$"),
        (r"a\b", r"a\\b"),
        ("<b> & &lt; &#38;", r"\<b> & \&lt; \&#38;"),
        ("[64, 32] [a](b)", r"[64, 32] [a]\(b)"),
        ("a\nb", r"a\\nb"),
    ],
)
def test_markdown_escapes_what_means_something_to_it(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


def test_latex_aligns_columns_and_prints_notes() -> None:
    best = rf"\textbf{{{latex_text('0.5 ± 0.1')}}}"
    printed = latex_table(["A", "B"], [["x", best]], RIGHT, ["a note"])
    assert r"\begin{tabular}{lr}" in printed
    assert r"x & \textbf{0.5 $\pm$ 0.1} \\" in printed
    assert printed.endswith("\\end{tabular}\n% a note\n")


def test_html_escapes_and_is_well_formed() -> None:
    row = [html_text("<script>"), f"<strong>{html_text('1 < 2')}</strong>"]
    printed = html_table("<t>", [html_text("A & B"), "N"], [row], RIGHT, [])
    table = printed[printed.index("<table>") : printed.index("</table>") + len("</table>")]
    root = ElementTree.fromstring(table)
    assert root.findtext("caption") == "<t>"
    assert [cell.text for cell in root.iter("th")] == ["A & B", "N"]
    first, second = root.iter("td")
    assert (first.text, first.get("class")) == ("<script>", None)
    assert (second.findtext("strong"), second.get("class")) == ("1 < 2", "number")
