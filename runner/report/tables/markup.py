"""Printed tables as Markdown, LaTeX and HTML.

Owns the escaping and the templates of each language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import Environment

from runner.core.text import printable

LATEX_ESCAPES = {
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
    "`": r"\`{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # at the start of a row, a bracket would be an option of the line break
    "*": "{*}",  # and an asterisk its starred form
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "": "{}",
}
LATEX_SPECIAL = re.compile(
    "|".join(re.escape(each) for each in LATEX_ESCAPES if each)
    + "|(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)"  # two of them would be joined to another character
)
NEGATIVE = re.compile("^-(?=[0-9.])")
MARKDOWN = re.compile(
    r"[\\`*~|<$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is only itself
    r"|&(?=#|\w+;)"
    r"|(?<=\])\("
)
"""What means something to GitHub's Markdown in a table's cell."""

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


def markdown_text(text: str) -> str:
    """Escape text for Markdown."""
    return MARKDOWN.sub(r"\\\g<0>", printable(text))


def latex_text(text: str) -> str:
    """Escape text for LaTeX; numbers get a minus sign."""
    signed = NEGATIVE.sub("−", printable(text))
    return LATEX_SPECIAL.sub(lambda found: LATEX_ESCAPES[found[0]], signed)


def html_text(text: str) -> str:
    """Escape text for HTML."""
    from markupsafe import escape

    return str(escape(printable(text)))


def latex_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    notes: Sequence[str],
) -> str:
    """Return a ``tabular`` with the rules of booktabs.

    Args:
        header: column titles, in LaTeX.
        rows: cells, in LaTeX.
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
        header=header,
        rows=rows,
        notes=notes,
    )


def html_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    notes: Sequence[str],
) -> str:
    """Return a page with one table.

    Args:
        title: as text.
        header: column titles, in HTML.
        rows: cells, in HTML.
        right: whether each column is set flush right.
        notes: printed below, as text.
    """
    from markupsafe import Markup

    def cells(row: Sequence[str]) -> list[tuple[Markup, Markup]]:
        classes = [Markup(' class="number"' if is_right else "") for is_right in right]
        return list(zip(map(Markup, row), classes, strict=True))

    environment = Environment(trim_blocks=True, autoescape=True, keep_trailing_newline=True)
    return environment.from_string(HTML).render(
        title=printable(title),
        header=cells(header),
        rows=[cells(row) for row in rows],
        notes=notes,
    )
