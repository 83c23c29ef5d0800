"""A server on this machine, reached without a proxy."""

from collections.abc import Iterator

import pytest
from servers import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as server:
        yield server
