"""Text that can be shown, printed and stored, wherever it came from.

File names are bytes: where they are not UTF-8, Python stands a lone surrogate for each byte, which
no database and no terminal takes. Owns which characters break a line or a file, and their escapes.
"""

import re

SURROGATES = "\ud800-\udfff"
STORABLE = re.compile(f"[{SURROGATES}]")
ONE_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{SURROGATES}]")
"""Control characters, line breaks, and halves of characters."""

ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Surrogates that stand for bytes of a file name."""


def printable(text: str) -> str:
    r"""Return one line of text; what would break it stands as ``\n``, ``\x1b`` or ``\u2028``."""
    return text if text.isprintable() else ONE_LINE.sub(_escaped, text)


def storable(text: str) -> str:
    r"""Return a text, of several lines too, that UTF-8 can hold; other bytes stand as ``\xe9``."""
    return STORABLE.sub(_escaped, text)


def breaking(text: str) -> str | None:
    """Return the first character of a text that does not belong into a line, or None."""
    found = None if text.isprintable() else ONE_LINE.search(text)
    return None if found is None else found[0]


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code in ESCAPED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")
