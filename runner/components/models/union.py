"""One union of components that are chosen by their names, or by how a name begins."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

NAMED, BEGUN = "<named>", "<begun>"
"""Tags of the two branches; no setting can be called so."""


class ByName:
    """Metadata of a union: its members have names, but ``kind``, all of whose begin alike."""

    def __init__(self, kind: type[BaseModel], prefix: str) -> None:
        self.kind = kind
        self.prefix = prefix

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the union, chosen by the form of the name."""
        others = reduce(operator.or_, [each for each in get_args(source) if each is not self.kind])
        named = handler.generate_schema(Annotated[others, Field(discriminator="name")])
        begun = handler.generate_schema(self.kind)
        return core_schema.tagged_union_schema({NAMED: named, BEGUN: begun}, self._branch)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the named members, and with them that of the others."""
        assert schema["type"] == "tagged-union"
        found = handler(schema["choices"][NAMED])
        # a union has a reference to its member, where the member alone would be written out
        alone = core_schema.tagged_union_schema({BEGUN: schema["choices"][BEGUN]}, self._branch)
        return {**found, "oneOf": [*found["oneOf"], *handler(alone)["oneOf"]]}

    def _branch(self, value: Any) -> str:
        name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
        return BEGUN if isinstance(name, str) and name.startswith(self.prefix) else NAMED
