"""Translates PyYAML's errors into problems with positions; parses nothing."""

from __future__ import annotations

import yaml

from runner.core.errors import Problem, SourcePosition

HINTS = {
    "mapping values are not allowed": "write one 'key: value' a line; quote text that holds ': '",
    "expected <block end>": "indent the entries of one list or mapping equally",
    "expected ',' or ']'": "put a comma between values, and ] at the end of the list",
    "expected ',' or '}'": "put a comma between entries, and } at the end of the mapping",
    "could not find expected ':'": "write 'key: value'",
    "unexpected end of stream": "close the quotes",
    "cannot start any token": "put quotes around text that begins with such a character",
    "expected a single document": "write one document in a file",
    "an escape that is no character": "characters are \\U00000000 to \\U0010FFFF",
}
"""What to do about PyYAML's commonest complaints, by words in them."""

JARGON = {
    "expected <block end>, but found": "expected its next entry or its end, but found",
    "'<block mapping start>'": "a mapping indented otherwise",
    "'<block sequence start>'": "a list indented otherwise",
    "'<scalar>'": "a value",
    "'<stream end>'": "the end of the file",
    "'?'": "a key",
}


class TooLarge(yaml.MarkedYAMLError):
    """A document exceeds a limit; ``problem`` says which."""


def unreadable(error: yaml.reader.ReaderError, text: str, file: str) -> Problem:
    """Return the problem of a character that YAML does not allow."""
    found = f"the control character {text[error.position]!r}, which YAML does not allow"
    return Problem(end_of(text[: error.position], file), found)


def broken(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """Return the problem of text that is no YAML, or too large."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    position = SourcePosition(file, line + 1, column + 1)
    if isinstance(error, TooLarge):
        return Problem(position, str(error.problem))
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: column + 1]:
        return Problem(position, "a tab where YAML wants spaces", hint="indent with spaces")
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for words, hint in HINTS.items() if words in said), "")
    for jargon, words in JARGON.items():
        said = said.replace(jargon, words)
    opened = error.context_mark
    if opened is not None and opened.line != line:
        said += f"; it begins in line {opened.line + 1}"
    return Problem(position, f"broken YAML: {said}", hint=hint)


def end_of(text: str, file: str) -> SourcePosition:
    """Return the position after ``text``, the beginning of a file; lines count as in PyYAML."""
    for sign in "\x85\u2028\u2029":
        text = text.replace(sign, "\n")
    return SourcePosition(file, text.count("\n") + 1, len(text) - text.rfind("\n"))
