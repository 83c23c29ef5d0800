"""Values as the text of JSON that every browser reads, whatever a database holds."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Return JSON in ASCII alone: half of a surrogate pair, too, can be sent.

    A number that JSON does not have becomes its name: "inf", "-inf" or "nan".
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_named(value), separators=(",", ":"), allow_nan=False)


def _named(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _named(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return value
