"""The `metrics` of a spec: own code over logits, by names that tables and formulas may use.

Owns their names and where they are stored. They are no settings of a run: no key of a run knows
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from runner.components.component import canonical_settings
from runner.components.measures import METRIC_NAMES
from runner.components.own.names import FORM, is_code_name
from runner.components.own.problems import CodeProblem
from runner.components.own.union import checked_class
from runner.components.own_metric import OwnMetric, metric_key
from runner.core.errors import Problem, SourcePosition, SpecError
from runner.core.reader import SPLITS
from runner.spec.entries import Section
from runner.spec.nodes import Node, plain
from runner.spec.problems import of_code, translate
from runner.spec.tables.column import PROPERTIES

ROOT = "metrics"
EXAMPLE = 'metrics by name, as {top3: {name: "metrics.py:TopK", k: 3}}'
SECTION = Section(ROOT, "a metric", {}, EXAMPLE)

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
NAMES = "at most 60 letters (a to z), digits and _, beginning with a letter"
OTHER_NAME = "give it another name"


@dataclass(frozen=True, slots=True)
class DeclaredMetric:
    """An own metric of a spec.

    Attributes:
        name: by which tables call it, behind a split.
        settings: which code it is, and the code's settings.
        key: of these; under it the numbers are stored.
        position: of its name in the spec.
    """

    name: str
    settings: OwnMetric
    key: str
    position: SourcePosition | None

    def recorded(self) -> dict[str, Any]:
        """Return it as a recorded document has it: whoever reads tables needs no code."""
        return {"key": self.key, "settings": canonical_settings(self.settings)}


Metrics = Mapping[str, DeclaredMetric]


def parse_metrics(
    node: Node | None, overrides: Iterable[Mapping[str, Node]] = ()
) -> dict[str, DeclaredMetric]:
    """Return the metrics of a spec by name.

    Args:
        node: the spec's ``metrics``, or None.
        overrides: of a profile and ``--set``, by dotted path, later ones on top.

    Raises:
        SpecError: with every problem found.
    """
    tree = Node({}) if node is None else SECTION.spelled_out(node)
    for layer in overrides if tree.is_mapping else ():  # what is none is refused below
        for path in sorted(layer, key=lambda dotted: (dotted.count("."), dotted)):
            tree = SECTION.overridden(tree, path, layer[path])
    return SECTION.read(tree, _metric)


def _metric(name: str, node: Node) -> DeclaredMetric:
    where = node.key_position or node.position
    within = f"metric {name}"
    if not NAME.fullmatch(name):
        raise SpecError([Problem(where, f"a metric is called '{name}'", NAMES)])
    if taken := _taken(name):
        raise SpecError([Problem(where, f"{within}: {taken}", hint=OTHER_NAME)])
    if not node.is_mapping:
        raise SpecError([Problem(node.position, f"{within} is {node.describe()}", EXAMPLE)])
    named = node.get("name")
    if named is None:
        raise SpecError([Problem(where, f"{within} lacks 'name'", FORM)])
    if not is_code_name(named.value):
        found = f"{within} names {named.describe()}, which is no own code"
        raise SpecError([Problem(named.position, found, FORM)])
    value = plain(node)
    try:
        chosen = checked_class(OwnMetric, value)
    except CodeProblem as problem:
        raise SpecError([of_code(problem, named)]) from None
    try:
        settings = chosen.model_validate(value)
    except ValidationError as error:
        raise SpecError(translate(error, chosen, node, within)) from None
    return DeclaredMetric(name, settings, metric_key(settings), where)


def _taken(name: str) -> str:
    """Return why a name would have two meanings, "" where it has one."""
    if name.startswith("eval_"):  # train_eval_x would be of train, and of train_eval
        return "a name cannot begin with 'eval_', since train_eval is a split"
    known = (*METRIC_NAMES, *PROPERTIES)
    taken = [full for split in SPLITS if (full := f"{split}_{name}") in known]
    return f"{taken[0]} is a number of the program" if taken else ""


def stored_names(metrics: Metrics) -> dict[str, str]:
    """Return the full names of metrics, as ``test_top3``, and those under which they are stored."""
    return _full_names({name: each.key for name, each in metrics.items()})


def recorded_metrics(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the same of a recorded document, without looking at any code."""
    return _full_names(recorded_keys(document))


def recorded_keys(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of the own metrics of a recorded document, by name."""
    return {name: str(each["key"]) for name, each in document.get(ROOT, {}).items()}


def _full_names(keys: Mapping[str, str]) -> dict[str, str]:
    return {f"{split}_{name}": f"{split}_{key}" for name, key in keys.items() for split in SPLITS}
