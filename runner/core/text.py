"""Text that can be printed and stored, wherever it comes from, and durations in words.

File names are bytes: where they are not UTF-8, Python stands a lone surrogate for each byte, which
no database and no terminal takes. Owns which characters break a line or a file, their escapes, and
how many names stand in a line.
"""

import re
from collections.abc import Sequence

SURROGATES = "\ud800-\udfff"
STORABLE = re.compile(f"[{SURROGATES}]")
ONE_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{SURROGATES}]")
"""Control characters, line breaks, and halves of characters."""

ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Surrogates that stand for bytes of a file name."""

LOGIN = re.compile(r"(?<=://)[^/@]*@")
"""Who is asking, in a URL, with a password."""

SECRET_OPTIONS = (
    "password",
    "passfile",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
"""Options of a database's URL that are not shown: all of libpq that let somebody in, see
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS."""

PASSWORD = re.compile(r"(?<=://)([^:/@?\s]*):[^/@\s]*@")
PASSWORD_OPTION = re.compile(rf"(?<=[?&])({'|'.join(SECRET_OPTIONS)})=[^&\s'\"]*&?")

SHOWN_NAMES = 4


def printable(text: str) -> str:
    r"""Return text in one line; control characters are escaped: ``\n``, ``\x1b``, ``\u2028``."""
    return text if text.isprintable() else ONE_LINE.sub(_escaped, text)


def storable(text: str) -> str:
    r"""Return text that UTF-8 can encode; other bytes are escaped, as ``\xe9``."""
    return STORABLE.sub(_escaped, text)


def without_login(url: str) -> str:
    """Return a URL as it may be printed: without user and password."""
    return LOGIN.sub("…@", url)


def without_password(text: str) -> str:
    """Return text as it may be printed: URLs in it keep their user, but nothing secret."""
    return PASSWORD_OPTION.sub("", PASSWORD.sub(r"\1@", text))


def first_breaking_character(text: str) -> str | None:
    """Return the first character that would break a line, or None."""
    match = None if text.isprintable() else ONE_LINE.search(text)
    return None if match is None else match[0]


def show_seconds(seconds: float) -> str:
    """Return a duration for people: 8.1 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listed(names: Sequence[str]) -> str:
    """Return names as text, the first few of many."""
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"


def and_listed(names: Sequence[str]) -> str:
    """Return names as text, all of them: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code in ESCAPED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return match[0].encode("unicode_escape").decode("ascii")
