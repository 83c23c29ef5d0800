"""MLflow: a run there for each run, in an experiment of the same name; tables and
pictures have one each.

How far a run is there is a tag of it. What is written again after a kill is the same number at the
same step and moment, which MLflow keeps once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from runner.bind.exported_cells import ExportedCell
from runner.core.errors import UsageError
from runner.core.text import printable, without_login
from runner.report.figures.options import as_file_part
from runner.report.tables.render import render
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tracker import Result, TrackedRun, TrackedTable, Tracker
from runner.report.trackers.written import Written, written

if TYPE_CHECKING:
    from mlflow import MlflowClient

Content = TypeVar("Content")
URL_VARIABLE = "MLFLOW_TRACKING_URI"
RUN, STATE, DIGESTS = "runner.run", "runner.written", "runner.files"
"""Tags: which run it is, how far it is there, and hashes of its artifacts."""

TABLES, FIGURES = "tables", "figures"
UNUSUAL = re.compile(r"[^\w\-. :/]")
"""What no name of a parameter or tag may hold."""

MOST_NUMBERS, MOST_NAMES = 1000, 100
"""That MLflow takes at once."""

LONGEST = 5000
"""Characters of a tag."""


class MlflowTracker(Tracker):
    """An MLflow store: a SQLite file, or a server that knows who is asking."""

    kind = "mlflow"
    needs = ("mlflow",)
    extra = "mlflow"
    default = "sqlite:///mlflow.db"
    is_url = True
    look = "mlflow ui --backend-store-uri {place}"

    def __init__(self, place: str) -> None:
        """Begin nothing yet.

        Args:
            place: a tracking URI.
        """
        self._url = place

    @classmethod
    def usual_place(cls) -> str:
        """Return what MLflow itself takes: its variable, else a file in the current folder."""
        return os.environ.get(URL_VARIABLE) or cls.default

    def __enter__(self) -> MlflowTracker:
        self._ids: dict[str, str] = {}
        self._runs: dict[str, dict[str, Any]] = {}
        with _in_words(self._url):
            self._client = _client(self._url)
            self._client.search_experiments(max_results=1)
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: all that was logged is there by now."""

    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return whether the run of a cell is there with this result."""
        run = self._known(cell.group).get(f"{cell.cell.run_key}-{result.rerun}")
        return run is not None and _state(run).result == result

    def write(self, run: TrackedRun) -> None:
        """Log what is not there yet."""
        from mlflow.entities import Metric, Param, RunTag

        there, points = self._known(run.group).get(run.identity), run.all_points()
        state = Written() if there is None else _state(there)
        with _in_words(self._url):
            if there is not None and state.run and not state.goes_on(run, points):
                self._client.delete_run(there.info.run_id)
                there, state = None, Written()
            if there is None:
                there = self._client.create_run(
                    self._ids[run.group],
                    start_time=_milliseconds(run.started),
                    tags={RUN: run.identity},
                    run_name=printable(run.name),
                )
            key = there.info.run_id
            tags = [RunTag(*each) for each in _texts(run.tags()).items()]
            params = [] if state.run else _texts(run.settings()).items()
            self._client.log_batch(key, tags=tags)
            for some in _batches([Param(*each) for each in params], MOST_NAMES):
                self._client.log_batch(key, params=some)
            metrics = [
                Metric(point.name, float(point.value), _milliseconds(point.moment), point.step)
                for point in state.new(points)
            ]
            for some in _batches(metrics, MOST_NUMBERS):
                self._client.log_batch(key, metrics=some)
            if run.result is not None:
                status = "FINISHED" if run.history.status == "done" else "FAILED"
                self._client.set_terminated(key, status, _milliseconds(run.ended))
            now = json.dumps(written(run, points).to_json())
            self._client.set_tag(key, STATE, now)

    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Keep the tables that have changed as artifacts of a run of their own."""
        for group in dict.fromkeys(table.group for table in tables):
            texts = {
                f"{as_file_part(table.name)}.{suffix}": render(table.data, form)
                for table in tables
                if table.group == group
                for suffix, form in (("csv", "csv"), ("md", "markdown"))
            }
            self._write_changed(group, TABLES, texts, _digest, self._log_text)

    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Keep the pictures that have changed as artifacts of a run of their own."""
        for group in dict.fromkeys(picture.group for picture in pictures):
            own = {each.path.name: each for each in pictures if each.group == group}
            self._write_changed(group, FIGURES, own, TrackedPicture.digest, self._log_picture)

    def _log_text(self, key: str, name: str, text: str) -> None:
        self._client.log_text(key, text, name)

    def _log_picture(self, key: str, name: str, picture: TrackedPicture) -> None:
        self._client.log_artifact(key, str(picture.path))

    def _write_changed(
        self,
        group: str,
        kind: str,
        contents: Mapping[str, Content],
        digest: Callable[[Content], str],
        log: Callable[[str, str, Content], None],
    ) -> None:
        """Log artifacts that have changed to the run of an experiment that has this kind."""
        there = self._known(group).get(kind)
        known = {} if there is None else json.loads(there.data.tags.get(DIGESTS, "{}"))
        digests = {name: digest(content) for name, content in contents.items()}
        changed = [name for name in digests if known.get(name) != digests[name]]
        if not changed:
            return
        with _in_words(self._url):
            if there is None:
                tags = {RUN: kind}
                there = self._client.create_run(self._ids[group], tags=tags, run_name=kind)
            key = there.info.run_id
            for name in changed:
                log(key, name, contents[name])
            self._client.set_tag(key, DIGESTS, json.dumps({**known, **digests}))
            self._client.set_terminated(key)

    def _known(self, group: str) -> Mapping[str, Any]:
        """Return the runs that exports have made in an experiment, which is made if need be."""
        if group not in self._runs:
            with _in_words(self._url):
                self._ids[group] = self._experiment(group)
                self._runs[group] = dict(self._listed(self._ids[group]))
        return self._runs[group]

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        if found.lifecycle_stage == "deleted":
            raise UsageError(
                f"the MLflow experiment '{name}' is deleted",
                hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )
        return str(found.experiment_id)

    def _listed(self, experiment: str) -> Iterator[tuple[str, Any]]:
        token: str | None = None
        while True:
            page = self._client.search_runs([experiment], page_token=token)
            for run in page:
                if RUN in run.data.tags:
                    yield run.data.tags[RUN], run
            token = page.token
            if not token:
                return


def _client(url: str) -> MlflowClient:
    """Return a client; MLflow is kept from counting its users, and from telling what it does."""
    import logging

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=url)


@contextmanager
def _in_words(url: str) -> Iterator[None]:
    """Turn what MLflow refuses into an error of this program."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        said = printable(str(error).strip().partition("\n")[0])
        raise UsageError(f"MLflow at {printable(without_login(url))}: {said}") from error


def _state(run: Any) -> Written:
    """Return how far a run of MLflow is there; nothing of one that a killed export began."""
    try:
        return Written.from_json(json.loads(run.data.tags[STATE]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return Written()


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {UNUSUAL.sub("_", name): str(value)[:LONGEST] for name, value in values.items()}


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _milliseconds(moment: float) -> int:
    return round(1000 * moment)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
