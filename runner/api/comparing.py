"""The verb `diff`: two runs side by side, in settings, data, numbers and environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.metric_names import name_metrics
from runner.bind.named_runs import find_record
from runner.bind.own_sources import (
    Declared,
    Sources,
    changed_lines,
    recorded_digests,
    recorded_files,
    recorded_packages,
    recorded_sources,
)
from runner.bind.workspace import workspace
from runner.spec.metrics import ROOT as METRICS
from runner.store.database import Database

if TYPE_CHECKING:
    import pandas as pd

RESULT = ("status", "best_epoch", "last_epoch", "parameters", "seconds", "device")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two runs may differ.

    Attributes:
        part: settings, data, result, metrics, environment or code.
        name: what it is within its part.
        first: its value in the first run, None where it has none.
        second: its value in the second run.
    """

    part: str
    name: str
    first: Any
    second: Any

    def gap(self) -> float | None:
        """Return second minus first of a metric, None where there is none."""
        if self.part != "metrics" or self.first is None or self.second is None:
            return None
        return float(self.second - self.first)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Framed):
    """How two runs differ.

    Attributes:
        differences: of settings, data, result and environment only what differs; of own code the
            lines that differ; of metrics all, at each run's best epoch.
    """

    differences: tuple[Difference, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per difference: columns part, name, first, second."""
        import pandas as pd

        rows = [
            (difference.part, difference.name, difference.first, difference.second)
            for difference in self.differences
        ]
        return pd.DataFrame(rows, columns=["part", "name", "first", "second"])

    def only_metrics(self) -> bool:
        """Return whether nothing differs in settings, data, result or environment."""
        return all(difference.part == "metrics" for difference in self.differences)


def diff(first: str, second: str, db: str | Path | None = None) -> Comparison:
    """Return how two runs differ.

    Args:
        first: a run or cell, as in :func:`runner.api.show`.
        second: another.
        db: the database; results.db when not given.

    Raises:
        UsageError: when one of the names means no run, or several.
    """
    with workspace(db).open(create=False) as database:
        return compared(database, first, second)


def compared(database: Database, first: str, second: str) -> Comparison:
    """Return how two runs of an open database differ; as :func:`diff`."""
    pair = [find_record(database, name) for name in (first, second)]
    name_metrics(database, *pair)
    sources = [recorded_sources(record) for record in pair]
    files = [recorded_files(record) for record in pair]
    packages = [recorded_packages(record) for record in pair]
    parts = {
        "settings": [dict(_settings(record, pair)) for record in pair],
        "data": [{"fingerprint": record["fingerprint"]} for record in pair],
        "result": [_result(record) for record in pair],
        "metrics": [_at_best(record) for record in pair],
        "environment": _environments(pair),
    }
    differences = [
        Difference(part, name, one.get(name), other.get(name))
        for part, (one, other) in parts.items()
        for name in dict.fromkeys([*one, *other])
        if part == "metrics" or one.get(name) != other.get(name)
    ]
    of_code = _of_code(sources, [recorded_digests(record) for record in pair])
    return Comparison((*differences, *of_code, *_of_files(files), *_of_packages(packages)))


def _of_code(
    sources: Sequence[Mapping[str, Sources]], digests: Sequence[Mapping[str, str]]
) -> Iterator[Difference]:
    """Yield the lines in which own code differs that does another thing."""
    one, other = sources
    for path in (each for each in one if each in other):
        if digests[0][path] != digests[1][path]:
            for name, first, second in changed_lines(one[path], other[path]):
                yield Difference("code", name, first, second)


def _of_files(files: Sequence[Mapping[str, Declared]]) -> Iterator[Difference]:
    """Yield the files that own code reads and that differ, by SHA-256."""
    one, other = files
    for path in dict.fromkeys([*one, *other]):
        first, second = one.get(path, {}), other.get(path, {})
        for name in dict.fromkeys([*first, *second]):
            pair = [each[name]["sha256"] if name in each else None for each in (first, second)]
            if pair[0] != pair[1]:
                yield Difference("code", name, *pair)


def _of_packages(packages: Sequence[Mapping[str, str]]) -> Iterator[Difference]:
    """Yield the settings whose code is of packages that differ, with name and version of these."""
    one, other = packages
    for path in dict.fromkeys([*one, *other]):
        if one.get(path) != other.get(path):
            yield Difference("code", path, one.get(path), other.get(path))


def _settings(
    record: Mapping[str, Any], pair: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a run, and of own metrics that both runs have by one name."""
    yield from leaves(record["settings"])
    both = {
        name: settings
        for name, settings in record["metrics"].items()
        if all(name in each["metrics"] for each in pair)
    }
    yield from leaves({METRICS: both} if both else {})


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of nested mappings, what a component is called first."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key in sorted(value, key=lambda each: each not in ("name", "dataset")):
        yield from leaves(value[key], f"{path}.{key}" if path else key)


def _result(record: Mapping[str, Any]) -> dict[str, Any]:
    result = record["result"]
    if result is None:
        return {"status": "unfinished"}
    return {name: result[name] for name in RESULT}


def _at_best(record: Mapping[str, Any]) -> dict[str, Any]:
    result = record["result"]
    epochs = [] if result is None else record["epochs"]
    best: Mapping[str, Any] = next(
        (epoch for epoch in epochs if epoch["epoch"] == result["best_epoch"]), {}
    )
    return {name: value for name, value in best.items() if name != "epoch"}


def _environments(pair: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return environment and numerics of the newest training of each run.

    The code of modules is left out where it is not recorded of both.
    """
    environments = [_environment(record) for record in pair]
    if not all("modules" in environment for environment in environments):
        for environment in environments:
            environment.pop("modules", None)
    return [dict(leaves(environment)) for environment in environments]


def _environment(record: Mapping[str, Any]) -> dict[str, Any]:
    trained = [attempt for attempt in record["attempts"] if attempt["kind"] == "train"]
    return {**trained[-1]["environment"], **trained[-1]["numerics"]} if trained else {}
