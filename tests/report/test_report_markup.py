from xml.etree import ElementTree

import pytest

from runner.report.markup import BEST, html_table, latex_table

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
        (BEST.format("-.5"), r"\textbf{$-$.5}"),
        ("-net-1", "-net-1"),
    ],
)
def test_latex_escapes_what_means_something_to_it(text: str, shown: str) -> None:
    printed = latex_table([text, "N"], [[text, "1"]], RIGHT, [])
    lines = printed.splitlines()
    assert lines[3] == rf"{shown} & N \\"
    assert lines[5] == rf"{shown} & 1 \\"


def test_latex_sets_the_best_value_bold_and_aligns_columns() -> None:
    printed = latex_table(["A", "B"], [["x", BEST.format("0.5 ± 0.1")]], RIGHT, ["a note"])
    assert r"\begin{tabular}{lr}" in printed
    assert r"x & \textbf{0.5 $\pm$ 0.1} \\" in printed
    assert printed.endswith("\\end{tabular}\n% a note\n")


def test_html_escapes_and_is_well_formed() -> None:
    printed = html_table("<t>", ["A & B", "N"], [["<script>", BEST.format("1 < 2")]], RIGHT, [])
    table = printed[printed.index("<table>") : printed.index("</table>") + len("</table>")]
    root = ElementTree.fromstring(table)
    assert root.findtext("caption") == "<t>"
    assert [cell.text for cell in root.iter("th")] == ["A & B", "N"]
    first, second = root.iter("td")
    assert (first.text, first.get("class")) == ("<script>", None)
    assert (second.findtext("strong"), second.get("class")) == ("1 < 2", "number")
