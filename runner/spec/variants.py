"""Profiles and ``--set``: settings that override every cell and make a variant.

Owns their syntax, the cells that a profile keeps, and the names of variants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.core.errors import Problem, SourcePosition, SpecError, UsageError, nearest, refuse
from runner.spec.analyses import SECTION as ANALYSES
from runner.spec.entries import Section
from runner.spec.metrics import SECTION as METRICS
from runner.spec.names import setting_path, short_name
from runner.spec.nodes import Node, identity, infinite_numbers
from runner.spec.unknown import unknown_setting
from runner.spec.yaml_loader import parse_yaml

PROFILE_KEYS = ("seeds", "folds", "cells")


@dataclass(frozen=True, slots=True)
class Variant:
    """Overrides for every cell of a spec.

    Attributes:
        name: "" for the spec as written.
        layers: settings by dotted path, the profile's below those of ``--set``.
        analyses: the same of settings of analyses, as ``analyses.shaken.draws``.
        metrics: the same of settings of own metrics, as ``metrics.top3.k``.
        seeds: the profile's seeds, or None.
        folds: the profile's folds, a node of None where it has none of them; None where it does
            not say.
        cells: how many positions of the sweep the profile keeps, or None for all.
    """

    name: str = ""
    layers: tuple[Mapping[str, Node], ...] = ()
    seeds: Node | None = None
    folds: Node | None = None
    cells: int | None = None
    analyses: tuple[Mapping[str, Node], ...] = ()
    metrics: tuple[Mapping[str, Node], ...] = ()

    def kept_positions(self, num_positions: int) -> list[int]:
        """Return the kept positions: the first, the last, and evenly spaced ones between."""
        if self.cells is None or self.cells >= num_positions:
            return list(range(num_positions))
        gaps = max(1, self.cells - 1)
        return [index * (num_positions - 1) // gaps for index in range(self.cells)]


def make_variant(document: Node, profile: str | None, sets: Sequence[str]) -> Variant:
    """Return the variant that a profile and ``--set`` options make.

    Raises:
        SpecError: for a profile that the document lacks or a setting that does not exist.
        UsageError: for a ``--set`` without "=".
    """
    layers: list[Mapping[str, Node]] = []
    seeds: Node | None = None
    folds: Node | None = None
    cells: int | None = None
    parts: list[str] = []
    if profile is not None:
        node = _profile(document, profile)
        seeds, folds, cells = node.get("seeds"), node.get("folds"), _num_cells(node)
        layers.append(_settings(node, PROFILE_KEYS))
        parts.append(f"profile {profile}")
    if sets:
        chosen: dict[str, Node] = {}
        for option in sets:
            path, value = parse_set(option)
            chosen[path] = value
        layers.append(chosen)
        parts += [f"{short_name(path)}={identity(chosen[path])}" for path in sorted(chosen)]
    runs, analyses, metrics = (_of(section, layers) for section in (None, ANALYSES, METRICS))
    return Variant(", ".join(parts), runs, seeds, folds, cells, analyses, metrics)


def _section_of(path: str) -> Section | None:
    """Return the section of the entry that a dotted path is of, None of settings of runs."""
    return next((section for section in (ANALYSES, METRICS) if section.has(path)), None)


def _of(
    section: Section | None, layers: Iterable[Mapping[str, Node]]
) -> tuple[Mapping[str, Node], ...]:
    """Return what layers say of the entries of a section, or of runs where it is None."""
    return tuple(
        {path: value for path, value in layer.items() if _section_of(path) is section}
        for layer in layers
    )


def variant_options(name: str) -> list[str]:
    """Return the options of the command line that make the variant of this name."""
    if not name:
        return []
    first = re.search(r"(?:^|, )(?=[A-Za-z_][A-Za-z0-9_.]*=)", name)
    head, rest = (name, "") if first is None else (name[: first.start()], name[first.end() :])
    options = ["--profile", head.removeprefix("profile ")] if head else []
    while rest:
        setting, _, text = rest.partition("=")
        _, end = json.JSONDecoder().raw_decode(text)
        options += ["--set", f"{setting}={text[:end]}"]
        rest = text[end:].removeprefix(", ")
    return options


def variant_choice(name: str) -> tuple[str | None, list[str]]:
    """Return the profile and the ``setting=value`` options that make the variant of this name."""
    words = variant_options(name)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    profile = next((value for option, value in pairs if option == "--profile"), None)
    return profile, [value for option, value in pairs if option == "--set"]


def _profile(document: Node, name: str) -> Node:
    profiles = document.get("profiles")
    known = list(profiles.value) if profiles is not None and profiles.is_mapping else []
    node = profiles.get(name) if profiles is not None else None
    if node is None or not node.is_mapping:
        position = (profiles or document).position
        hint = "" if known else "this spec has no profiles"
        suggestion = nearest(name, known)
        raise SpecError(
            [
                Problem(
                    position,
                    f"no profile '{name}'",
                    ", ".join(known),
                    hint=hint,
                    suggestion=suggestion,
                )
            ]
        )
    return node


def _num_cells(profile: Node) -> int | None:
    node = profile.get("cells")
    if node is None:
        return None
    if type(node.value) is not int or node.value < 1:
        found, allowed = f"cells is {node.describe()}", "a whole number of at least 1"
        raise SpecError([Problem(node.position, found, f"{allowed} (positions of the sweep)")])
    return node.value


def _settings(node: Node, besides: Sequence[str]) -> dict[str, Node]:
    settings: dict[str, Node] = {}
    for name, child in node.value.items():
        if name in besides:
            continue
        dotted = _dotted(name, child)
        if dotted in settings:
            position = child.key_position or child.position
            found = f"{dotted} is given twice"
            raise SpecError([Problem(position, found, hint="give each setting once")])
        settings[dotted] = child
    return settings


def profile_layers(profiles: Node | None) -> list[Mapping[str, Node]]:
    """Return the settings of every profile, chosen or not."""
    if profiles is None:
        return []
    return list(_of(None, _layers(profiles)))


def profile_entries(section: Section, profiles: Node | None) -> list[Mapping[str, Node]]:
    """Return what every profile, chosen or not, says of the entries of a section."""
    if profiles is None:
        return []
    return [layer for layer in _of(section, _layers(profiles)) if layer]


def _layers(profiles: Node) -> list[Mapping[str, Node]]:
    return [_settings(node, PROFILE_KEYS) for node in profiles.value.values()]


def check_profiles(profiles: Node | None) -> None:
    """Check that every profile names settings.

    Raises:
        SpecError: for the first that does not.
    """
    if profiles is None:
        return
    if not profiles.is_mapping:
        found = f"profiles is {profiles.describe()}"
        raise SpecError([Problem(profiles.position, found, "profiles by name")])
    for name, node in profiles.value.items():
        if not node.is_mapping:
            found = f"profile {name} is {node.describe()}"
            raise SpecError([Problem(node.position, found, "a mapping of settings")])
        refuse_infinite(node)
        _num_cells(node)
        settings = _settings(node, PROFILE_KEYS)
        for one, several in (("seed", "seeds"), ("data.fold", "folds")):
            given = node.get(several)
            if one in settings and given is not None and given.value is not None:
                found = f"profile {name} gives both {one} and {several}"
                raise SpecError([Problem(given.key_position, found, hint="give one of them")])


def refuse_infinite(node: Node) -> None:
    """Refuse infinite numbers and NaN, which records cannot hold, also in unused parts.

    Raises:
        SpecError: for numbers that are not finite.
    """
    refuse(
        Problem(each.position, f"a setting is {each.describe()}", "a finite number")
        for each in infinite_numbers(node)
    )


def _dotted(name: str, node: Node) -> str:
    """Return the dotted path of a setting, also of an analysis or an own metric.

    Raises:
        SpecError: when there is none of that name.
    """
    if _section_of(name) is not None and all(name.split(".")):
        return name
    path = setting_path(name)
    if path is None:
        raise unknown_setting(name, node)
    return ".".join(path)


def parse_set(option: str) -> tuple[str, Node]:
    """Return the dotted path and the value of ``setting=value``; the value is YAML.

    Raises:
        UsageError: without "=".
        SpecError: for an unknown setting or a broken value.
    """
    name, equals, text = option.partition("=")
    if not equals:
        raise UsageError(f"'{option}' is not setting=value", hint="as in --set epochs=5")
    source = f"--set {option}"
    position = SourcePosition(source, 0, 0)
    node = parse_yaml(text, source) if text.strip() else Node(None)
    return _dotted(name.strip(), Node(None, position)), Node(node.value, position, position)
