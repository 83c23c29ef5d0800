"""How many examples a property is tried with: a few in the fast suite, all where asked for.

``RUNNER_EXAMPLES=all pytest -m hypothesis`` tries every property with all its examples.
"""

import os

FEWER = 10
"""What the fast suite divides the number of examples by."""


def examples(number: int) -> int:
    """Return the ``max_examples`` of a property that has ``number`` of them."""
    return number if os.environ.get("RUNNER_EXAMPLES") == "all" else max(10, number // FEWER)
