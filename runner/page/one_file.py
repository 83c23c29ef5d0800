"""The page as one file: templates, scripts and data in it, so that it can be mailed and opened.

What a server would answer is held by question; a policy within the file allows no network and no
script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from runner.api.picturing import Pictures
from runner.api.watching import Name, Watch
from runner.artifacts.atomic import refuse_place, whole_file
from runner.core.errors import RunnerError, UsageError
from runner.page.assets import environment, script, style
from runner.page.json_text import json_text
from runner.report.page.curves import Axis

FORMS = ("latex", "markdown", "csv")
SUFFIXES = (".html", ".htm")
MOST_RUNS = 2000
"""Of an experiment with more cells, the file holds no settings of single runs: it would be as large
as the database."""

MOST_PICTURES = 40 << 20
"""Bytes of an experiment's pictures, after which the file has no more of it."""

MOST_STEPPED = 200
"""Likewise, of one with more positions curves by epoch only."""

Progress = Callable[[int, int], Any]


def write_file(
    watch: Watch,
    path: Path,
    names: Collection[str] = (),
    variant: str | None = None,
    on_progress: Progress = lambda done, total: None,
    pictures: Pictures | None = None,
) -> list[str]:
    """Write experiments into one HTML file, which appears whole or not at all.

    Args:
        watch: the database.
        path: of the file, which ends in .html; one that is there is replaced.
        names: of the only experiments, all by default.
        variant: the only one, "" for the specs as written; all by default.
        on_progress: hears how many experiments are read, of how many.
        pictures: of the same database; without them the file has none.

    Returns:
        What was left out, in words.

    Raises:
        UsageError: when there is no such experiment, or the file cannot be written.
        DamagedDatabase: when something of it is not what was recorded.
    """
    if path.suffix.lower() not in SUFFIXES:  # a spec or a database named by mistake would be lost
        raise UsageError(f"{path} is to hold HTML", allowed="a name that ends in .html")
    refuse_place(path)
    rows = [
        row
        for row in watch.experiments()
        if (not names or row["name"] in names) and (variant is None or row["variant"] == variant)
    ]
    if not rows:
        found = f"{', '.join(names)} has not been run" if names else "no experiment has been run"
        found += f" as the variant '{variant}'" if variant else ""
        raise UsageError(found, hint="`runner list` shows what was")
    answers: dict[str, Any] = {question("experiments"): rows}
    there = {row["name"] for row in rows}
    left_out = [f"{name}: it has not been run" for name in names if name not in there]
    for number, row in enumerate(rows):
        on_progress(number, len(rows))
        name = row["name"], row["variant"]
        answers |= _answers(watch, name, left_out)
        if pictures is not None:
            answers |= _pictures(watch, pictures, name, left_out)
    on_progress(len(rows), len(rows))
    html = _html(watch.title, answers)
    with whole_file(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8", errors="surrogatepass")
    return left_out


def question(path: str, **parameters: str) -> str:
    """Return a question as the scripts write it: what is asked, and sorted parameters with text."""
    given = sorted([name, value] for name, value in parameters.items() if value)
    return json.dumps([path, given], separators=(",", ":"), ensure_ascii=False)


def _answers(watch: Watch, name: Name, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    asked = {"experiment": name[0], "variant": name[1]}
    items = watch.items(name)
    while not watch.is_settled(name):
        watch.check(name)
    whole = {"cursor": "file", "whole": True, "gone": [], "items": items}
    yield question("changes", **asked), whole
    yield question("points", **asked), watch.points(name)
    yield question("since", **asked), watch.since(name)
    for table in items["tables"]["names"]:
        if "problem" not in items[f"table:{table}"]:
            for form in FORMS:
                text = watch.table(name, table, form)
                yield question("table", **asked, table=table, form=form), {"text": text}
    cells = {key.removeprefix("cell:"): each for key, each in items.items() if key[:5] == "cell:"}
    yield from _curves(watch, name, asked, items, cells)
    if len(cells) > MOST_RUNS:
        left_out.append(f"{name[0]}: settings of its {len(cells)} runs")
        return
    for cell in cells:
        yield question("run", **asked, cell=cell), watch.run(name, cell)


def _curves(
    watch: Watch,
    name: Name,
    asked: Mapping[str, str],
    items: Mapping[str, Any],
    cells: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, Any]]:
    positions: Sequence[int] = list(dict.fromkeys(each["position"] for each in cells.values()))
    axes: tuple[Axis, ...] = ("epoch", "step", "seconds")
    axes = axes if len(positions) <= MOST_STEPPED else ("epoch",)
    for axis in axes:
        for metric in items["metrics"]["names"]:
            lines = watch.curves(name, positions, [metric], axis)
            yield question("curves", **asked, metrics=metric, axis=axis), _rounded(lines)


def _pictures(
    watch: Watch, pictures: Pictures, name: Name, left_out: list[str]
) -> Iterator[tuple[str, Any]]:
    """Yield what the page asks of pictures: figures and the most confident images of each run.

    The images behind each number of a confusion matrix would be most of the data set.
    """
    total = 0
    cells = [key.removeprefix("cell:") for key in watch.items(name) if key.startswith("cell:")]
    for cell in cells[:MOST_RUNS]:
        asked = {"experiment": name[0], "variant": name[1], "cell": cell}
        run = watch.reference(name, cell)
        found = pictures.of_run(run)
        yield question("pictures", **asked), found
        sheets: list[tuple[str, Callable[[], list[dict[str, Any]]]]] = [
            (
                question("figure", **asked, analysis=each["key"]),
                partial(pictures.figure, run, each["key"]),
            )
            for each in found["figures"]
        ]
        sheets += [
            (
                question("images", **asked, split=each["split"], kind=kind),
                partial(pictures.images, run, each["split"], None, kind),
            )
            for each in found["confusions"]
            for kind in ("wrong", "right")
        ]
        for asking, made in sheets:
            if total > MOST_PICTURES:
                left_out.append(f"{name[0]}: pictures after the first {total >> 20} MB")
                return
            try:
                shown = [_held(pictures, each) for each in made()]
            except RunnerError:  # gone meanwhile, as the page would say
                continue
            total += sum(len(each["digest"]) for each in shown)
            yield asking, shown


def _held(pictures: Pictures, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a picture with its file in place of its digest."""
    png = pictures.png(shown["digest"]) or b""
    return {**shown, "digest": f"data:image/png;base64,{base64.b64encode(png).decode()}"}


def _rounded(value: Any) -> Any:
    """Return numbers with as many digits as a screen shows: the file is half as large."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value


def _html(title: str, answers: Mapping[str, Any]) -> str:
    policy = (
        f"default-src 'none'; script-src {_hash(script())}; style-src {_hash(style())};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    data = json_text(answers)
    inline = {
        "policy": policy,
        "style": Markup(style()),
        "script": Markup(script()),
        # no text of the database can end the element that holds it
        "data": Markup(data.translate({ord(each): f"\\u{ord(each):04x}" for each in "<>&"})),
    }
    return environment().get_template("page.html").render(title=title, inline=inline)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
