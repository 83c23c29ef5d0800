"""What own metrics of recorded runs are called: by users, in the specs as they were last run.

Their numbers stand under keys, since another spec may give a metric another name, and a name other
code. Owns how keys are told apart that have one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.components.measures import OWN_PREFIX, is_own_metric, metric_parts
from runner.spec.metrics import ROOT, recorded_keys
from runner.store.database import Database
from runner.store.queries import stored_experiments
from runner.store.run_history import RunHistory

SHOWN_DIGITS = 12
"""Of a key, as people see it."""

Documents = Sequence[Mapping[str, Any]]


def name_metrics(database: Database, *records: dict[str, Any]) -> None:
    """Call the own metrics of recorded runs by their names, in place.

    In its ``epochs``, a metric that one spec of the runs names is called so, as ``test_top3``;
    where a name stands for several, the beginning of the key stands behind it. Numbers of what no
    spec names any more, as of code before it was edited, keep that alone. Each record gets
    ``metrics``: the settings of those that its specs name.

    Args:
        database: where the specs are.
        records: of runs that are shown together.
    """
    documents = [_documents(database, record) for record in records]
    names = _names([each for some in documents for each in some])
    for record, mine in zip(records, documents, strict=True):
        record["metrics"] = _settings(mine)
        record["epochs"] = [
            {name: epoch[stored] for name, stored in _in_order(epoch, names)}
            for epoch in record["epochs"]
        ]


def names_for_export(database: Database) -> dict[tuple[str, str], dict[str, str]]:
    """Return what another tool calls own metrics, by their keys, of each experiment and variant.

    A name holds the beginning of the key: what is there of other code stays another series.
    """
    return {
        (each.name, each.variant): {
            key: f"{name}_{_digits(key)}" for name, key in recorded_keys(each.document).items()
        }
        for each in stored_experiments(database)
    }


def with_export_names(history: RunHistory, names: Mapping[str, str]) -> RunHistory:
    """Return a history without own metrics but those of ``names``, which are called so.

    Args:
        history: of a run.
        names: what :func:`names_for_export` says of the run's experiment.
    """
    epochs = tuple(
        replace(epoch, metrics=dict(_for_export(epoch.metrics, names))) for epoch in history.epochs
    )
    return replace(history, epochs=epochs)


def _for_export(
    metrics: Mapping[str, float], names: Mapping[str, str]
) -> Iterator[tuple[str, float]]:
    for metric, value in metrics.items():
        if not is_own_metric(metric):
            yield metric, value
            continue
        split, key = metric_parts(metric)
        if key in names:
            yield f"{split}_{names[key]}", value


def own_values(record: Mapping[str, Any], split: str, epoch: int) -> dict[str, float]:
    """Return the values of own metrics of a split at an epoch, by name.

    Args:
        record: in which metrics are named.
        split: the images.
        epoch: whose weights were measured.
    """
    full = {f"{split}_{name}": name for name in record["metrics"]}
    return {
        full[name]: value
        for each in record["epochs"]
        if each["epoch"] == epoch
        for name, value in each.items()
        if name in full
    }


def _documents(database: Database, record: Mapping[str, Any]) -> Documents:
    """Return the specs of a run that name own metrics, the one run last first."""
    specs = {(cell["experiment"], cell["variant"]) for cell in record["cells"]}
    return [
        each.document
        for each in stored_experiments(database)
        if (each.name, each.variant) in specs and each.document.get(ROOT)
    ]


def _names(documents: Documents) -> dict[str, str]:
    """Return what each metric is called, by its key."""
    keys: dict[str, set[str]] = {}
    for document in documents:
        for name, key in recorded_keys(document).items():
            keys.setdefault(name, set()).add(key)
    found: dict[str, str] = {}
    for name, some in sorted(keys.items(), key=lambda item: len(item[1]) > 1):
        for key in some:
            found.setdefault(key, name if len(some) == 1 else f"{name} ({_digits(key)})")
    return found


def _settings(documents: Documents) -> dict[str, Any]:
    """Return the settings of the metrics of specs by name, apart where a name is of several."""
    names = _names(documents)
    return {
        names[each["key"]]: each["settings"]
        for document in documents
        for each in document[ROOT].values()
    }


def _in_order(epoch: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the shown and the stored names of an epoch's numbers, its own number first."""
    shown = [(_shown(name, names), name) for name in epoch]
    return sorted(shown, key=lambda pair: (pair[0] != "epoch", pair[0]))


def _shown(metric: str, names: Mapping[str, str]) -> str:
    if not is_own_metric(metric):
        return metric
    split, key = metric_parts(metric)
    return f"{split}_{names.get(key, f'{OWN_PREFIX}{_digits(key)}')}"


def _digits(key: str) -> str:
    return key.removeprefix(OWN_PREFIX)[:SHOWN_DIGITS]
