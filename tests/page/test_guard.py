"""Who gets the page, and who gets nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from runner.page.guard import Guard

TOKEN = "the-token-of-this-server"
HOST = "127.0.0.1:8000"


@pytest.fixture
def client() -> TestClient:
    inner = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("secret"))])
    guard = Guard(inner, [HOST, "localhost:8000"], TOKEN)
    return TestClient(guard, base_url=f"http://{HOST}", follow_redirects=False)


def test_the_address_gives_a_cookie_and_the_cookie_the_page(client: TestClient) -> None:
    given = client.get(f"/?token={TOKEN}&a=b")
    assert given.status_code == 303
    assert given.headers["location"] == "/?a=b"
    cookie = given.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").text == "secret"


@pytest.mark.parametrize(
    "path", ["/", "/changes?experiment=e", "/static/page.css", "/?token=", "/?token=wrong"]
)
def test_without_the_token_there_is_nothing(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_a_wrong_cookie_is_no_token(client: TestClient) -> None:
    client.cookies.set("runner_page_8000", "wrong")
    assert client.get("/").status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:9", "evil.example:8000", "", "127.0.0.1"]
)
def test_another_host_gets_nothing_even_with_the_token(client: TestClient, host: str) -> None:
    client.cookies.set("runner_page_8000", TOKEN)
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "secret" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_get_is_answered(client: TestClient, method: str) -> None:
    client.cookies.set("runner_page_8000", TOKEN)
    answer = client.request(method, "/")
    assert answer.status_code == 405
    assert "secret" not in answer.text


def test_a_token_never_leads_to_another_host(client: TestClient) -> None:
    paths = ("//evil.example/", "/\\evil.example", "///evil.example")
    for path in (*paths, "/%09/evil.example", "/%0d%0aa:b", "/%0a/evil.example", "/%e2%82%ac"):
        answer = client.get(f"{path}?token={TOKEN}")
        location = answer.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert location.isascii()
        assert location.isprintable()


def test_every_answer_forbids_foreign_code(client: TestClient) -> None:
    for answer in (client.get("/"), client.get(f"/?token={TOKEN}"), client.get("/")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_web_socket_is_not_answered(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass


def test_the_static_files_of_the_page_hold_no_markup_of_text() -> None:
    folder = Path(__file__).resolve().parents[2] / "runner" / "page" / "static"
    for script in folder.glob("*.js"):
        text = script.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, f"{script.name} has {word}"
