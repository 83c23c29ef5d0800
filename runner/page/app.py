"""The page as a web application: one HTML page, its scripts, and answers as JSON.

Knows HTTP; what is answered comes from the database's :class:`runner.api.watching.Watch`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from runner.api.picturing import Pictures
from runner.api.watching import Name, Watch
from runner.core.errors import RunnerError, StoreBusy, StoreError, StoreGone, UsageError
from runner.page.assets import STATIC, page_html, script, style
from runner.page.changes import LOOK_SECONDS, Changes
from runner.page.json_text import json_text
from runner.page.threads import in_thread

WAIT_SECONDS = 20.0
"""How long a request for news is held open."""

AXES = ("epoch", "step", "seconds")
MOST_CURVES = 1000
MOST_TOLD = 20
"""Unexpected errors that are written to standard error."""

JSON = "application/json"


Value = TypeVar("Value")


class PageApp:
    """The routes of the page over one database."""

    def __init__(self, watch: Watch, pictures: Pictures) -> None:
        """Take the database, and its pictures, which are read beside it."""
        self._watch, self._lock = watch, threading.Lock()
        self._pictures, self._drawing = pictures, threading.Lock()
        self._changes = Changes(watch, self._lock)
        self._is_closing = False
        self._told: set[str] = set()

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/page.css", self._style),
                Route("/page.js", self._script),
                Route("/experiments", self._experiments),
                Route("/changes", self._news),
                Route("/curves", self._curves),
                Route("/points", self._points),
                Route("/since", self._since),
                Route("/table", self._table),
                Route("/run", self._run),
                Route("/difference", self._difference),
                Route("/pictures", self._pictures_of_run),
                Route("/figure", self._figure),
                Route("/images", self._images),
                Route("/picture/{digest}", self._picture),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)],
            exception_handlers={Exception: self._mistake},
        )

    def close(self) -> None:
        """Let requests for news end."""
        self._is_closing = True

    async def _page(self, _: Request) -> Response:
        return HTMLResponse(page_html(self._watch.title))

    async def _style(self, _: Request) -> Response:
        return Response(style(), media_type="text/css")

    async def _script(self, _: Request) -> Response:
        return Response(script(), media_type="text/javascript")

    async def _experiments(self, _: Request) -> Response:
        return await self._answer(lambda: self._watch.experiments())

    async def _news(self, request: Request) -> Response:
        name, cursor = _name(request), request.query_params.get("after", "")
        waited = 0.0
        try:
            while cursor and waited < WAIT_SECONDS and not self._is_closing:
                if await in_thread(self._asked, self._changes.has_news, name, cursor):
                    break
                if await request.is_disconnected():  # the tab was closed
                    return Response(status_code=204)
                await asyncio.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            text = await in_thread(self._asked, self._changes.after, name, cursor)
        except RunnerError as error:
            return _problem(error)
        return Response(text, media_type=JSON)

    async def _curves(self, request: Request) -> Response:
        name, asked = _name(request), request.query_params
        axis = asked.get("axis", "epoch")
        try:
            positions = [int(each) for each in asked.get("cells", "").split(",") if each]
        except ValueError:
            return _problem(UsageError("cells are numbers with commas between"))
        if axis not in AXES or len(positions) > MOST_CURVES:
            return _problem(UsageError("no such axis, or too many cells"))
        metrics = [each for each in asked.get("metrics", "").split(",") if each]
        return await self._answer(
            lambda: self._watch.curves(name, positions, metrics, axis)  # type: ignore[arg-type]
        )

    async def _points(self, request: Request) -> Response:
        return await self._answer(lambda: self._watch.points(_name(request)))

    async def _since(self, request: Request) -> Response:
        return await self._answer(lambda: self._watch.since(_name(request)))

    async def _table(self, request: Request) -> Response:
        asked = request.query_params
        table, form = asked.get("table", ""), asked.get("form", "text")
        return await self._answer(lambda: {"text": self._watch.table(_name(request), table, form)})

    async def _run(self, request: Request) -> Response:
        cell = request.query_params.get("cell", "")
        return await self._answer(lambda: self._watch.run(_name(request), cell))

    async def _difference(self, request: Request) -> Response:
        first, second = (request.query_params.get(each, "") for each in ("first", "second"))
        return await self._answer(lambda: self._watch.difference(_name(request), first, second))

    async def _pictures_of_run(self, request: Request) -> Response:
        run = self._run_named(request)
        return await self._answer(lambda: self._pictures.of_run(run()), self._drawing)

    async def _figure(self, request: Request) -> Response:
        run, analysis = self._run_named(request), request.query_params.get("analysis", "")
        return await self._answer(lambda: self._pictures.figure(run(), analysis), self._drawing)

    async def _images(self, request: Request) -> Response:
        run, asked = self._run_named(request), request.query_params
        split, kind = asked.get("split", ""), asked.get("kind", "wrong")
        pair = (asked["label"], asked["predicted"]) if {"label", "predicted"} <= {*asked} else None
        return await self._answer(
            lambda: self._pictures.images(run(), split, pair, kind), self._drawing
        )

    async def _picture(self, request: Request) -> Response:
        png = self._pictures.png(request.path_params["digest"])
        if png is None:
            return _problem(UsageError("no such picture"))
        return Response(png, media_type="image/png")

    def _run_named(self, request: Request) -> Callable[[], str]:
        """Return what gives the name of the run that is asked for, or raises UsageError."""
        name, cell = _name(request), request.query_params.get("cell", "")

        def named() -> str:
            with self._lock:
                return self._watch.reference(name, cell)

        return named

    async def _answer(
        self, made: Callable[[], Any], lock: threading.Lock | None = None
    ) -> Response:
        """Return what the database says, or its error; one reading at a time."""

        def locked() -> str:
            with lock or self._lock:
                return json_text(made())

        try:
            return Response(await in_thread(self._asked, locked), media_type=JSON)
        except RunnerError as error:
            return _problem(error)

    def _asked(self, made: Callable[..., Value], *values: object) -> Value:
        """Return what a function says; of a database that was removed, from the next time on, what
        is there instead."""
        try:
            return made(*values)
        except StoreError as error:
            # SQLite may find a file that is being removed unreadable
            gone = error if isinstance(error, StoreGone) else self._watch.gone()
            if gone is None:
                raise
            with suppress(RunnerError):  # nothing is there yet
                self._reopen()
            found = str(gone).partition(" while ")[0]
            raise StoreGone(found, hint="it is shown again as soon as it is there") from error

    def _reopen(self) -> None:
        with self._drawing, self._lock:
            self._watch.reopen()
            self._pictures.reopen()
            self._changes.forget()

    def _mistake(self, _: Request, error: Exception) -> Response:
        """Say on the page, and once whole on standard error, what nobody expected."""
        what = f"{type(error).__name__}: {error}"
        if what not in self._told and len(self._told) < MOST_TOLD:  # tabs ask again and again
            self._told.add(what)
            traceback.print_exception(error, file=sys.stderr)
        found = f"a mistake of this program, or something that it never recorded: {what}"
        problem = RunnerError(found, hint="`runner db check` tells whether the database is whole")
        return _problem(problem)


def _name(request: Request) -> Name:
    asked = request.query_params
    return asked.get("experiment", ""), asked.get("variant", "")


def _problem(error: RunnerError) -> Response:
    status = 404 if isinstance(error, UsageError) else 500
    status = 503 if isinstance(error, StoreGone | StoreBusy) else status
    return Response(json_text({"problem": str(error)}), status, media_type=JSON)
