"""Own code as one more choice in a union of components: chosen by the form of its name alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from runner.components.component import canonical_settings
from runner.components.own.component import Own, OwnComponent, own_class
from runner.components.own.declared_files import NAME
from runner.components.own.names import FORM, PATTERN, is_code_name
from runner.components.own.problems import CodeProblem
from runner.components.own.unreadable import reads_a_file

OURS, OWN = "<ours>", "<own>"
"""Tags of the two branches; no setting can be called so."""
_AS_THEN = (
    "use the files as they were then",
    "install the package as it was then: `runner show` names its version",
)
"""Of files, and of packages."""
_OR_DECLARE = f"; or name the files in {NAME}, and open Path(__file__).with_name({NAME}[0])"


class OwnCode:
    """Metadata of an annotated union: a name of own code is one of ``kind``.

    Of ``None`` instead of a union, own code is all that there is to choose.
    """

    def __init__(self, kind: type[OwnComponent]) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the union's schema with another branch."""
        ours = handler(source)
        if ours["type"] == "none":
            ours = core_schema.no_info_before_validator_function(_nothing_else, ours)
        own = core_schema.with_info_plain_validator_function(
            self._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(canonical_settings),
        )
        return core_schema.tagged_union_schema({OURS: ours, OWN: own}, self._branch)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the program's own components: a file's are not known to it."""
        assert schema["type"] == "tagged-union"
        ours = schema["choices"][OURS]
        if ours["type"] == "function-before":
            return {"anyOf": [{"type": "string", "pattern": PATTERN}, {"type": "null"}]}
        return handler(ours)

    def _validated(self, value: Any, info: core_schema.ValidationInfo) -> OwnComponent:
        if isinstance(value, OwnComponent):
            return value
        try:
            if self.kind.IN_KEYS:
                chosen = checked_class(self.kind, value)
            else:  # the code of a record may have been another one
                chosen = own_class(self.kind, value[self.kind.TAG])
                value = {name: each for name, each in value.items() if name != "code"}
        except CodeProblem as problem:
            raise problem.for_pydantic() from None
        if info.mode == "json":
            return chosen.model_validate_json(json.dumps(value))
        return chosen.model_validate(value)

    def _branch(self, value: Any) -> str:
        is_own = isinstance(value, OwnComponent) or (
            isinstance(value, dict) and is_code_name(value.get(self.kind.TAG))
        )
        return OWN if is_own else OURS


def _nothing_else(value: Any) -> None:
    """Refuse what is no own code where there is nothing else.

    Raises:
        PydanticCustomError: for all but None.
    """
    if value is not None:
        named = value.get("name") if isinstance(value, dict) else value
        found = "own code without a name" if named is None else f"{named!r} is no own code"
        raise CodeProblem(found, f"name: {FORM}").for_pydantic()


def checked_class(kind: type[Own], value: Mapping[str, Any]) -> type[Own]:
    """Return the settings class of own code, before its settings are looked at.

    Args:
        kind: what the code is to be.
        value: the settings as a spec or a record has them; ``name`` says which code.

    Raises:
        CodeProblem: when it is not allowed, not there, other code than was recorded, or no digest
            can hold what it does.
    """
    name, chosen = value["name"], own_class(kind, value["name"])
    digest = chosen.model_fields["code"].default
    if value.get("code", digest) != digest:
        raise CodeProblem(
            f"'{name}' is other code now than it was: its digest is {digest}, not {value['code']}",
            hint=_AS_THEN[bool(chosen.own.files.release)],
        )
    if chosen.unreadable is not None and value.get("version") is None:
        what, position = chosen.unreadable
        raise CodeProblem(
            f"'{name}' uses `{what}` ({position}), whose effect cannot be read from the text",
            hint="add version: 1 beside the name, and raise it whenever the code does another"
            f" thing{_OR_DECLARE if reads_a_file(what.partition('(')[0]) else ''}",
        )
    return chosen
