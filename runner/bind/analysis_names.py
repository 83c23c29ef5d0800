"""What recorded analyses are called: by users, in the specs as they were last run.

No record of an analysis has the name, since another spec may give it another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from runner.components.analyses import typed_analysis
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.settings import Settings
from runner.core.errors import SpecError, UsageError, nearest
from runner.core.records import AnalysisValue
from runner.core.run import ResolvedSettings
from runner.spec.analyses import ROOT, kept_weights, parse_analyses
from runner.spec.nodes import to_node
from runner.store.analyses import analysis_settings
from runner.store.database import Database
from runner.store.queries import stored_experiments

Record = Mapping[str, Any]

SHOWN_DIGITS = 12
"""Of a key, as people see it."""


def with_names(database: Database, record: Record) -> list[dict[str, Any]]:
    """Return the analyses of a run as recorded, each with its ``names`` in the specs of the run.

    Args:
        database: where the specs are.
        record: of the run.
    """
    analyses = record.get("analyses", ())
    if not analyses:
        return []
    specs = {(cell["experiment"], cell["variant"]) for cell in record["cells"]}
    names: dict[str, list[str]] = {}
    for stored in stored_experiments(database):
        if (stored.name, stored.variant) in specs:
            for name, key in _declared(stored.document, record["settings"]):
                known = names.setdefault(key, [])
                known += [name] if name not in known else []
    return [{**each, "names": names.get(each["analysis_key"], [])} for each in analyses]


def _declared(document: Record, settings: Record) -> Iterator[tuple[str, str]]:
    """Yield name and key of each analysis that a recorded spec asks for of a run.

    The key is of the settings as written, under which it is recorded: also where the last weights
    that it asks for are those that the run calls its best.
    """
    try:
        typed = Settings.model_validate_json(json.dumps(settings))
        declared = parse_analyses(to_node(document).get(ROOT))
    except (SpecError, ValidationError):  # of a component that is not there any more
        return
    for name, each in declared.items():
        if kept_weights(each.settings, typed) is not None:
            yield name, each.key


def settings_of(database: Database, stage_key: str) -> AnalysisSettings:
    """Return the settings of an analysis, of the stage that made it."""
    return typed_analysis(ResolvedSettings(analysis_settings(database, stage_key)))


def as_values(recorded: Iterable[Mapping[str, Any]]) -> tuple[AnalysisValue, ...]:
    """Return the values of an analysis as they were measured."""
    return tuple(AnalysisValue(each["name"], each["value"], each["dims"]) for each in recorded)


def chosen_analysis(
    analyses: Sequence[Record],
    run: str,
    kind: str,
    asked: str,
    allowed: Sequence[str],
    hint: Callable[[Record | None], str],
) -> Record:
    """Return the one analysis of a run that is meant.

    Args:
        analyses: of the run, with names.
        run: as a person named it.
        kind: which analysis, as ``filters``.
        asked: its name in a spec, or the beginning of its key or its stage's; "" for any.
        allowed: the kinds that can be asked for.
        hint: says what makes an analysis that is not made; None is one that no spec asks for.

    Raises:
        UsageError: when the run has none, several are meant, or it is not made yet.
    """
    if kind not in allowed:
        raise UsageError(
            f"'{kind}' is no analysis with pictures",
            allowed=", ".join(allowed),
            suggestion=nearest(kind, allowed),
        )
    of_kind = [each for each in analyses if each["kind"] == kind]
    if not of_kind:
        others = ", ".join(dict.fromkeys(each["kind"] for each in analyses))
        name_it = f"name it in the spec's `analyses`, as `analyses: [{kind}]`, then: {hint(None)}"
        has = f"; it has {others}" if others else ""
        raise UsageError(f"the specs of run '{run}' ask for no analysis {kind}{has}", hint=name_it)
    meant = _meant(of_kind, asked)
    known = ", ".join(map(_shown, of_kind))
    if not meant:
        names = [name for each in of_kind for name in each["names"]]
        found = f"no analysis {kind} of run '{run}' is called '{asked}' or has a key that begins so"
        raise UsageError(found, allowed=known, suggestion=nearest(asked, names))
    if len(meant) > 1:
        which = f" that '{asked}' may mean" if asked else ""
        found = f"run '{run}' has {len(meant)} analyses {kind}{which}; which one?"
        raise UsageError(found, allowed=known, hint="give --analysis with its name or key")
    if not meant[0]["made"]:
        raise UsageError(f"{kind} of run '{run}' is not made yet", hint=hint(meant[0]))
    return meant[0]


def told_apart(analyses: Sequence[Record], analysis: Record) -> str:
    """Return what tells an analysis of a run from others of its kind, "" where there are none.

    Args:
        analyses: of the run, with names.
        analysis: one of them.
    """
    if sum(each["kind"] == analysis["kind"] for each in analyses) < 2:
        return ""
    return next(iter(analysis["names"]), str(analysis["analysis_key"])[:SHOWN_DIGITS])


def _meant(of_kind: Sequence[Record], asked: str) -> list[Record]:
    named = [each for each in of_kind if asked in each["names"]]
    keys = ("analysis_key", "stage_key")
    return named or [each for each in of_kind if any(each[key].startswith(asked) for key in keys)]


def _shown(analysis: Record) -> str:
    key = analysis["analysis_key"][:SHOWN_DIGITS]
    names = " or ".join(analysis["names"])
    return f"{names} ({key})" if names else str(key)
