"""Unknown names of settings, and suggestions for them.

Suggestions prefer settings of the spec's own model and data set. These are unknown where a name is
read, so the error can be rebuilt with them later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.components.settings import Settings
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.names import COMPONENT_PATHS, SETTING_ROOTS, SHORT_NAMES, setting_path
from runner.spec.nodes import Node, find
from runner.spec.options import component_name, models_at, own_option, setting_paths

AXES = {
    "seeds": "seeds stands beside the sweep, or in a profile; a single one is the setting seed",
    "folds": "folds stands beside the sweep, or in a profile; a single one is the setting"
    " data.fold, as {index: 1, of: 5}",
    "cells": "cells stands in a profile",
}
"""What is no setting, by name, and where it stands."""

SHOWN = 4
"""Settings that a message suggests at most."""


class UnknownName(SpecError):
    """An unknown name; its suggestion depends on the components of the spec."""

    def __init__(self, problem: Callable[[Node | None], Problem], tree: Node | None = None) -> None:
        """Take a function from the settings of a spec (None while unknown) to the problem."""
        super().__init__([problem(tree)])
        self._problem = problem

    def among(self, tree: Node) -> UnknownName:
        """Return the same error for a spec with these settings."""
        for path, key in COMPONENT_PATHS.items():
            named = find(tree, [*path.split("."), key])
            if named is not None and isinstance(named.value, str):
                own_option(Settings, path.split("."), named.value)  # its settings are known then
        return UnknownName(self._problem, tree)


def unknown_setting(name: str, node: Node, labels: Sequence[str] = ()) -> UnknownName:
    """Return the error of a name that is no setting, nor one of the ``labels``."""
    allowed = "a short name (" + ", ".join(SHORT_NAMES) + ") or a dotted path such as train.epochs"
    if labels:
        allowed = f"a label ({', '.join(labels)}), {allowed}"
    hint = AXES.get(name, "")
    if any(step.isdecimal() for step in name.split(".")):
        hint = "lists are set whole"
    found = f"unknown {'label or ' if labels else ''}setting '{name}'"
    position = node.key_position or node.position
    return UnknownName(
        lambda tree: Problem(
            position, found, allowed, hint=hint, suggestion=likely_settings(name, labels, tree)
        )
    )


def likely_settings(name: str, others: Sequence[str] = (), tree: Node | None = None) -> str:
    """Return suggestions for the unknown ``name``, joined by ", ", or "".

    Args:
        name: as written: the last part of a path, or a misspelling.
        others: other names that may be meant.
        tree: settings of the spec, whose components come first; None while unknown.
    """
    whole = name.strip(".")
    while whole and any(step.isdecimal() for step in whole.split(".")):
        whole = whole.rpartition(".")[0]
    if whole != name and setting_path(whole) is not None:
        return whole
    paths = _ending_in(name) or _ending_in(name.rpartition(".")[2])
    if not paths:
        known = [*others, *SHORT_NAMES, *SETTING_ROOTS]
        every = setting_paths(Settings)
        ends = every if "." in name else (path.rpartition(".")[2] for path in every)
        like = nearest(name, [*known, *sorted(set(ends) - set(known))])
        if like in known or not like:
            return like
        paths = _ending_in(like)
    ranked = sorted(paths, key=lambda path: (_is_elsewhere(path, tree), path.count("."), path))
    return ", ".join(_with_owner(path, tree) for path in ranked[:SHOWN])


def _ending_in(name: str) -> list[str]:
    return [path for path in setting_paths(Settings) if f".{path}".endswith(f".{name}")]


def _is_elsewhere(path: str, tree: Node | None) -> bool:
    """Return whether the spec's components lack this setting of other components."""
    if tree is None:
        return False
    chosen, _ = models_at(Settings, tree, path.split(".")[:-1])
    return chosen is None or path.rpartition(".")[2] not in chosen.model_fields


def _with_owner(path: str, tree: Node | None) -> str:
    """Return a path, with its components if the spec does not use them."""
    owners = [component_name(owner) for owner in setting_paths(Settings)[path]]
    if not _is_elsewhere(path, tree) or not all(owners):
        return path
    return f"{path} (of {', '.join(owners)})"
