"""The text of own code, as a run's record keeps it: to be read and compared, never to be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from pydantic import BaseModel

from runner.bind.code_digests import components_of
from runner.components.own.component import OwnComponent
from runner.components.own.names import is_code_name

KEY = "own_code"
"""In an environment: the files' texts by their names, by the digest of the code."""

Sources = Mapping[str, str]
"""Texts by the names of their files."""


def sources_to_record(settings: Iterable[BaseModel]) -> dict[str, dict[str, dict[str, str]]]:
    """Return what is recorded of the own code of runs with their environment; nothing without."""
    kept = {
        component.code: {
            file.shown: file.text.decode("utf-8", "backslashreplace")
            for file in component.own.files.modules.values()
        }
        for one in settings
        for component in components_of(one)
        if isinstance(component, OwnComponent)
    }
    return {KEY: kept} if kept else {}


def recorded_sources(record: Mapping[str, Any]) -> dict[str, Sources]:
    """Return the own code of a recorded run, by the setting that names it.

    It is taken out of the environments of the record's attempts, where it stands for all runs of an
    invocation.
    """
    kept: dict[str, Sources] = {}
    for attempt in record["attempts"]:
        kept |= attempt["environment"].pop(KEY, {})
    digests = dict(_digests(record["settings"], ""))
    return {path: kept[digest] for path, digest in digests.items() if digest in kept}


def _digests(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, digest) of the own components in recorded settings."""
    if isinstance(value, list):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return
    if is_code_name(value.get("name")) and "code" in value:
        yield path, str(value["code"])
    for name, inner in value.items():
        yield from _digests(inner, f"{path}.{name}" if path else name)


def changed_lines(one: Sources, other: Sources) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (file:line, line, line) of what differs between texts, None where there is no line.

    Lines are counted in the first text, or in the second where the first has none.
    """
    for name in dict.fromkeys([*one, *other]):
        first, second = (texts.get(name, "").splitlines() for texts in (one, other))
        matcher = SequenceMatcher(None, first, second, autojunk=False)
        for kind, start, end, begin, stop in matcher.get_opcodes():
            if kind == "equal":
                continue
            for number in range(max(end - start, stop - begin)):
                left = first[start + number] if start + number < end else None
                right = second[begin + number] if begin + number < stop else None
                line = start + number if left is not None else begin + number
                yield f"{name}:{line + 1}", left, right
