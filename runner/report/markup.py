"""Printed tables as LaTeX and HTML, by jinja2 templates.

Takes header and rows as text; owns escaping and how each language sets a best value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import Environment

BEST = "\ue000{}\ue001"
"""Marks a best value between two private characters, until it is set."""

LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "|": r"\textbar{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "[": "{[}",  # at the start of a row, a bracket would be an option of the line break
        "*": "{*}",  # and an asterisk its starred form
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        "\ue000": r"\textbf{",
        "\ue001": "}",
    }
)
NEGATIVE = re.compile("^(\ue000?)-(?=[0-9.])")
LATEX = r"""% \usepackage{booktabs}
\begin{tabular}{<< columns >>}
\toprule
<< header | join(" & ") >> \\
\midrule
<% for row in rows %>
<< row | join(" & ") >> \\
<% endfor %>
\bottomrule
\end{tabular}
<% for note in notes %>
% << note >>
<% endfor %>
"""
HTML = """<!doctype html>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
table { border-collapse: collapse; font-family: sans-serif; }
caption, th, td { padding: 0.2em 0.7em; text-align: left; }
thead { border-bottom: 1px solid; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
</style>
<table>
<caption>{{ title }}</caption>
<thead>
<tr>{% for cell, class in header %}<th{{ class }}>{{ cell }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in rows %}
<tr>{% for cell, class in row %}<td{{ class }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
"""


def latex_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    notes: Sequence[str],
) -> str:
    """Return a ``tabular`` with the rules of booktabs.

    Args:
        header: column titles.
        rows: cells; a best value stands in :data:`BEST`.
        right: whether each column is set flush right.
        notes: printed as comments below.
    """
    environment = Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        autoescape=False,
        keep_trailing_newline=True,
    )
    return environment.from_string(LATEX).render(
        columns="".join("r" if is_right else "l" for is_right in right),
        header=[_latex(cell) for cell in header],
        rows=[[_latex(cell) for cell in row] for row in rows],
        notes=notes,
    )


def _latex(cell: str) -> str:
    """Return a cell with its escapes; a number has a minus sign, not a hyphen."""
    return NEGATIVE.sub(r"\1−", cell).translate(LATEX_ESCAPES)


def html_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    notes: Sequence[str],
) -> str:
    """Return a page with one table; see :func:`latex_table` for the arguments."""
    from markupsafe import Markup, escape

    def cells(row: Sequence[str]) -> list[tuple[Markup, Markup]]:
        classes = [Markup(' class="number"' if is_right else "") for is_right in right]
        bold = str.maketrans({"\ue000": "<strong>", "\ue001": "</strong>"})
        shown = [Markup(str(escape(cell)).translate(bold)) for cell in row]
        return list(zip(shown, classes, strict=True))

    environment = Environment(trim_blocks=True, autoescape=True, keep_trailing_newline=True)
    return environment.from_string(HTML).render(
        title=title, header=cells(header), rows=[cells(row) for row in rows], notes=notes
    )
