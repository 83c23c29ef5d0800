"""What is shown is one line, what is stored is UTF-8, and nothing else is changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.text import (
    first_breaking_character,
    printable,
    storable,
    without_login,
    without_password,
)

ANY = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 漢字 😀\u00a0\u200d", "naïve 漢字 😀\u00a0\u200d"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x00\x1b[31m\x7f\x9b", r"\x00\x1b[31m\x7f\x9b"),
        ("\x85\u2028\u2029", r"\x85\u2028\u2029"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud83d", r"\ud83d"),
        (r"a\n", r"a\n"),
    ],
)
def test_printable_escapes_what_breaks_a_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(text=ANY)
def test_printable_text_is_one_line_of_utf_8_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert (printable(shown), first_breaking_character(shown)) == (shown, None)
    assert (first_breaking_character(text) is None) == (shown == text)


@given(text=ANY)
def test_storable_text_keeps_its_lines(text: str) -> None:
    stored = storable(text)
    stored.encode("utf-8")
    assert stored.count("\n") == text.count("\n")
    assert storable(stored) == stored


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://…@host:5000/x"),
        ("https://token@host", "https://…@host"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("http://host/a@b", "http://host/a@b"),
        ("mlflow.db", "mlflow.db"),
    ],
)
def test_login_of_a_url_is_not_shown(url: str, shown: str) -> None:
    assert without_login(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "--db postgresql://me:se%40cret@host/x --only lr",
            "--db postgresql://me@host/x --only lr",
        ),
        ("'postgresql:///x?password=secret&host=/run'", "'postgresql:///x?host=/run'"),
        ("postgresql:///x?host=/run&sslpassword=s", "postgresql:///x?host=/run&"),
        ("postgresql:///x?oauth_client_secret=s&host=/run", "postgresql:///x?host=/run"),
        (
            "postgresql:///x?scram_client_key=s&scram_server_key=s&host=/run",
            "postgresql:///x?host=/run",
        ),
        ("postgresql:///x?oauth_client_id=me", "postgresql:///x?oauth_client_id=me"),
        ("postgresql://me@host:5432/x", "postgresql://me@host:5432/x"),
        ("results.db", "results.db"),
    ],
)
def test_password_of_a_url_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown
