"""Whatever stands in a label or a title: each format, read back, has it as it was."""

import csv
import io
import json
import re
from html.parser import HTMLParser

from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.core.text import printable
from runner.report.tables.markup import LATEX_ESCAPES, NEGATIVE
from runner.report.tables.render import render
from runner.report.tables.table import Row, TableData, TableValue
from runner.spec.tables.column import Column
from runner.spec.tables.table import Table

SPECIAL = (
    "|&%$#_{}~^\\<>[]()*`'\"=+-@,;!?.:/ \t\n\r\0\x1b\x85\u2028\u200d\ue000\ue001\udce9\ud83dé漢1ax"
)
texts = st.text(
    st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=())), max_size=12
)
READ_BACK = re.compile("|".join(re.escape(each) for each in sorted(LATEX_ESCAPES.values())[::-1]))
UNLATEX = {value: key for key, value in LATEX_ESCAPES.items()}


def table_of(title: str, label: str, name: str = "t") -> TableData:
    """Return a table of one row: the label, and a best value of 0.5."""
    columns = (
        Column(title, "label", "label", None, "best", None, None, None),
        Column("BEST", "metric", "val_accuracy", None, "best", "max", None, None),
    )
    entries = {title: TableValue(label), "BEST": TableValue(0.5, count=1, is_best=True, runs=1)}
    row = Row(entries, 1, {"done": 1}, 0, "run")
    return TableData(Table(name, "", columns, (), None), "e", "", (row,))


def read_text(text: str) -> list[list[str]]:
    header, rule, row = text.splitlines()[1:4]
    spans = [found.span() for found in re.finditer("-+", rule)]
    return [[line[start:end] for start, end in spans] for line in (header, row)]


def read_csv(text: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(text), strict=True))
    shown = [[re.sub("^'(?='*[=+@-])", "", field) for field in row] for row in rows]
    return [shown[0][:2], [shown[1][0], f"{float(shown[1][1]):.3f}"]]


def read_json(text: str) -> list[list[str]]:
    (row,) = json.loads(text)["rows"]
    (title, label), (best, value), _ = row.items()
    return [[title, best], [label, f"{value:.3f}"]]


def read_latex(text: str) -> list[list[str]]:
    lines = [line.removesuffix(r" \\") for line in text.split("\n")]
    assert [lines[2], lines[4], lines[6]] == [r"\toprule", r"\midrule", r"\bottomrule"]
    header, row = lines[3].split(" & "), lines[5].split(" & ")
    assert row[1] == r"\textbf{0.500}"
    row[1] = "0.500"
    return [[unlatex(cell) for cell in cells] for cells in (header, row)]


def unlatex(cell: str) -> str:
    """Return what TeX sets; a special character that is not escaped is an error."""
    found, rest = "", cell
    while rest:
        matched = READ_BACK.match(rest)
        assert matched or rest[0] not in "&%$#_{}~^\\", cell
        found += UNLATEX[matched[0]] if matched else rest[0]
        rest = rest[matched.end() if matched else 1 :]
    return found


class Cells(HTMLParser):
    """Collects the cells of a page, and every tag within them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.tags[-1] in ("td", "th", "strong"):
            self.rows[-1][-1] += data.rstrip("\n")


def read_html(text: str) -> list[list[str]]:
    cells = Cells()
    cells.feed(text.partition("<table>")[2].partition("</table>")[0])
    assert " ".join(cells.tags) == "caption thead tr th th tbody tr td td strong"
    return cells.rows


def read_markdown(text: str) -> list[list[str]]:
    """Return the cells as plain text; anything but the bold value in them is an error."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    cells = [token for token in tokens if token.type == "inline"][:4]
    kinds = [[child.type for child in cell.children] for cell in cells]
    assert [kind for each in kinds[:3] for kind in each if kind != "text"] == []
    shown = ["".join(child.content for child in cell.children) for cell in cells]
    return [shown[:2], shown[2:]]


@settings(max_examples=examples(150))
@given(title=texts.filter(bool), label=texts)
@example(title="=a", label="-1e5x")
@example(title="'=a", label="''@")
@example(title="a\\", label="\\|")
@example(title="`a`", label="[a](b)")
@example(title="$x$", label="<script>&amp;")
@example(title="*a* **b**", label="~c~ ~~d~~ _e_ __f__")
@example(title="#&%$_{}~^", label="--- '' ,, # % {}")
def test_markup_is_read_back_as_it_was_written(title: str, label: str) -> None:
    table = table_of(title, label)
    shown = [[printable(title), "BEST"], [printable(label), "0.500"]]
    trimmed = [[cell.strip() for cell in row] for row in shown]
    assert read_json(render(table, "json")) == [[title, "BEST"], [label, "0.500"]]
    assert read_csv(render(table, "csv")) == shown
    assert [[c.strip(" *") for c in row] for row in read_text(render(table, "text"))] == [
        [cell.strip(" *") for cell in row] for row in shown
    ]
    signed = [[NEGATIVE.sub("−", cell) for cell in row] for row in shown]
    assert read_latex(render(table, "latex")) == signed
    assert read_html(render(table, "html")) == shown
    if all(row[0] for row in trimmed):
        found = read_markdown(render(table, "markdown"))
        assert [[cell.strip() for cell in row] for row in found] == trimmed


@given(text=texts)
def test_every_format_can_be_printed_and_holds_no_control_character(text: str) -> None:
    table = table_of("T", text, name=text)
    for form in ("text", "csv", "latex", "html", "markdown", "json"):
        printed = render(table, form)
        printed.encode("utf-8")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed)


def test_formula_is_text_in_a_spreadsheet_and_a_number_stays_one() -> None:
    fields = [render(table_of("T", text), "csv").split("\n")[1].split(",0.5")[0] for text in FIELDS]
    assert fields == list(FIELDS.values())


FIELDS = {
    "=1+1": "'=1+1",
    "@a": "'@a",
    "+ dropout": "'+ dropout",
    "-x": "'-x",
    "'=1": "''=1",
    "-0.5": "-0.5",
    "+1e-3": "+1e-3",
    "a=1": "a=1",
}
