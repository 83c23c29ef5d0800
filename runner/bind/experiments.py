"""Several specs at once: loaded, checked against each other, every problem of all of them told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from runner.bind.pretrained import with_checksum
from runner.bind.workspace import workspace
from runner.core.errors import Problem, SpecError, UsageError
from runner.spec.experiment import Experiment, load_experiment


def load_experiments(
    specs: Iterable[str | Path],
    profile: str | None,
    sets: Sequence[str],
    data: str | Path | None = None,
) -> list[Experiment]:
    """Return the experiments of several specs.

    Args:
        specs: spec files.
        profile: name of a profile.
        sets: ``setting=value`` options.
        data: folder in which files that an error tells of are looked for.

    Raises:
        SpecError: for any problem in one of them, or two that share a name or a table's name.
        UsageError: without specs.
    """
    paths = [Path(spec) for spec in specs]
    if not paths:
        raise UsageError("no spec is given", hint="as in: runner run experiments/quickstart.yaml")
    problems: list[Problem] = []
    experiments: list[Experiment] = []
    for path in dict.fromkeys(paths):
        try:
            experiments.append(load_experiment(path, profile, sets))
        except SpecError as error:
            access = partial(workspace(data=data).data_access, path)
            problems += [with_checksum(problem, access) for problem in error.problems]
    problems += _clashes(experiments)
    if problems:
        raise SpecError(problems)
    return experiments


def _clashes(experiments: Sequence[Experiment]) -> list[Problem]:
    problems: list[Problem] = []
    names: dict[str, Experiment] = {}
    tables: dict[str, Experiment] = {}
    for experiment in experiments:
        if experiment.name in names:
            other = names[experiment.name].path
            found = f"{experiment.path}: the name '{experiment.name}' is also that of {other}"
            problems.append(Problem(None, found, hint="give each spec a name of its own"))
        names[experiment.name] = experiment
        for table in experiment.tables:
            if table.name in tables and tables[table.name] is not experiment:
                other = tables[table.name].path
                found = f"the table '{table.name}' is also declared in {other}"
                hint = "give each table a name of its own"
                problems.append(Problem(table.position, found, hint=hint))
            tables[table.name] = experiment
    return problems
