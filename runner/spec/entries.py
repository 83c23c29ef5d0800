"""Sections of a spec that hold entries by name, each with settings of a kind: analyses, figures.

Owns their short forms (a list of kinds, a kind alone) and what is refused in all of them alike: a
list in which a kind stands twice, a name that is none, an unknown kind, wrong settings. What only
one section knows is said there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from runner.core.errors import Problem, SpecError, nearest
from runner.spec.nodes import Node, plain, put
from runner.spec.options import model_options, tags_of
from runner.spec.problems import translate

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST = 100
"""Entries of a section."""

Entry = TypeVar("Entry")


def kinds_of(union: Any) -> Mapping[str, type[BaseModel]]:
    """Return the settings in a union by the name that chooses them."""
    return {tag: model for model in model_options(union) for tag in tags_of(model)}


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a spec.

    Attributes:
        key: under which it stands, as ``analyses``.
        an_entry: what one of its entries is called, as ``an analysis``.
        kinds: settings of entries by the name that chooses them.
        example: what it may be, in words.
    """

    key: str
    an_entry: str
    kinds: Mapping[str, type[BaseModel]]
    example: str

    @property
    def entry(self) -> str:
        """What one of its entries is called, as ``analysis``."""
        return self.an_entry.split(" ")[1]

    def spelled_out(self, node: Node) -> Node:
        """Return the section as a mapping of mappings; what is neither stays, to be refused later.

        Raises:
            SpecError: for a list in which a kind stands twice.
        """
        if node.is_sequence and all(isinstance(each.value, str) for each in node.value):
            _refuse_twice(node)
            named = {each.value: replace(each, key_position=each.position) for each in node.value}
            node = replace(node, value=named)
        if not node.is_mapping:
            return node
        return replace(node, value={name: _with_kind(each) for name, each in node.value.items()})

    def has(self, path: str) -> bool:
        """Return whether a dotted path is of an entry, as ``analyses.shaken.draws``."""
        return path.startswith(f"{self.key}.")

    def overridden(self, tree: Node, path: str, value: Node) -> Node:
        """Return the section with one value put into an entry that is there.

        Args:
            tree: the section, spelled out.
            path: dotted, of the value in the spec.
            value: as a profile or ``--set`` gives it.

        Raises:
            SpecError: when there is no such entry.
        """
        name, *inner = path.split(".")[1:]
        if name in tree.value:
            return self.spelled_out(put(tree, [name, *inner], value))
        names = list(tree.value)
        hint = "" if names else f"this spec has no {self.key}"
        found, position = f"no {self.entry} '{name}'", value.key_position or value.position
        raise SpecError(
            [Problem(position, found, ", ".join(names), hint=hint, suggestion=nearest(name, names))]
        )

    def read(self, tree: Node, read: Callable[[str, Node], Entry]) -> dict[str, Entry]:
        """Return all entries by name.

        Args:
            tree: the section, spelled out.
            read: gives an entry, from its name and node; what it raises is told with the others'.

        Raises:
            SpecError: with every problem found.
        """
        if not tree.is_mapping:
            raise SpecError([self._no_mapping(tree)])
        if len(tree.value) > MOST:
            found = f"{len(tree.value)} {self.key}"
            raise SpecError([Problem(tree.position, found, f"at most {MOST}")])
        entries: dict[str, Entry] = {}
        problems: list[Problem] = []
        for name, child in tree.value.items():
            try:
                entries[name] = read(name, child)
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return entries

    def kind(self, name: str, node: Node) -> str:
        """Return the kind of an entry.

        Raises:
            SpecError: when its name or its kind is none, or it is no mapping.
        """
        where = node.key_position or node.position
        if not NAME.fullmatch(name):
            allowed = "letters, digits and _, beginning with a letter"
            raise SpecError([Problem(where, f"{self.an_entry} is called '{name}'", allowed)])
        within = f"{self.entry} {name}"
        if not node.is_mapping:
            found = f"{within} is {node.describe()}"
            raise SpecError([Problem(node.position, found, self.example)])
        kind, allowed = node.get("name"), ", ".join(self.kinds)
        if kind is None:
            suggestion = f"name: {name}" if name in self.kinds else ""
            found = f"{within} lacks 'name'"
            raise SpecError([Problem(where, found, allowed, suggestion=suggestion)])
        if not isinstance(kind.value, str) or kind.value not in self.kinds:
            found = f"unknown {self.entry} {kind.describe()}"
            suggestion = nearest(kind.text, list(self.kinds))
            raise SpecError([Problem(kind.position, found, allowed, suggestion=suggestion)])
        return kind.value

    def settings(self, name: str, node: Node) -> BaseModel:
        """Return the settings of an entry.

        Raises:
            SpecError: with every problem found.
        """
        model = self.kinds[self.kind(name, node)]
        try:
            return model.model_validate(plain(node))
        except ValidationError as error:
            raise SpecError(translate(error, model, node, f"{self.entry} {name}")) from None

    def _no_mapping(self, tree: Node) -> Problem:
        """Return the problem of a section that is no mapping; of a list, of the item at fault."""
        for item in tree.value if tree.is_sequence else ():
            if not isinstance(item.value, str):
                found = f"{self.key} names {item.describe()}"
                return Problem(item.position, found, ", ".join(self.kinds))
        return Problem(tree.position, f"{self.key} is {tree.describe()}", self.example)


def _with_kind(node: Node) -> Node:
    if isinstance(node.value, str):
        return replace(node, value={"name": Node(node.value, node.position, node.position)})
    return node


def _refuse_twice(listed: Node) -> None:
    """Refuse a plain list of kinds in which one stands twice, as a mapping with equal keys is."""
    values = [each.value for each in listed.value]
    for number, each in enumerate(listed.value):
        if each.value in values[:number]:
            hint = f"give both a name of their own: {{first: {each.value}, second: {each.value}}}"
            raise SpecError([Problem(each.position, f"{each.value!r} stands twice", hint=hint)])
