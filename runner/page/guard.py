"""Who may see the page: whoever has its address, from this machine, and only to read.

A page on a loopback address can be reached by every web site that the user visits, by rebinding a
name to 127.0.0.1 (CVE-2025-62593 is one of many). So the `Host` of each request is checked, and a
random token, given once in the address, then as a cookie that other sites cannot send.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
WITHOUT_TOKEN = "This page needs the whole address that `runner page` printed, with its token.\n"


class Guard:
    """Refuses what is not meant for the page; an ASGI application around another."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str) -> None:
        """Take what is allowed.

        Args:
            app: the page.
            hosts: allowed values of `Host`, with the port.
            token: of this server.
        """
        self._app, self._token = app, token
        self._hosts = {each.lower() for each in hosts}
        port = next(iter(hosts)).rpartition(":")[2]
        self._cookie = f"runner_page_{port}"  # cookies know no ports: two servers would clash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # the page has none
            return
        answer = self._refusal(scope)
        await (self._app if answer is None else answer)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.getlist("host") == [] or len(headers.getlist("host")) > 1:
            return PlainTextResponse("one Host is needed\n", 400)
        if headers["host"].lower() not in self._hosts:
            return PlainTextResponse("this page is not for that host\n", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET\n", 405, {"allow": "GET, HEAD"})
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given:
            if not self._is_right(given[-1]):
                return PlainTextResponse(WITHOUT_TOKEN, 403)
            rest = urlencode([each for each in query if each[0] != "token"])
            # a path that begins with two slashes would be another host
            path = "/" + quote(scope["path"].lstrip("/\\"))
            answer = Response(status_code=303, headers={"location": path + (rest and f"?{rest}")})
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return answer
        if not self._is_right(self._given_as_cookie(headers)):
            return PlainTextResponse(WITHOUT_TOKEN, 403)
        return None

    def _given_as_cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())
