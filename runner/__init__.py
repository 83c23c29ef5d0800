"""Declarative image-classification experiments: a YAML spec becomes a grid and a table.

The verbs of the command line are functions here, for notebooks: ``runner.run``, ``runner.plan``,
``runner.report``, ``runner.list_runs``, ``runner.show``, ``runner.validate``.
"""

from typing import Any

__all__ = ["list_runs", "plan", "report", "run", "show", "validate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from runner import api

        return getattr(api, name)
    raise AttributeError(f"module 'runner' has no attribute '{name}'")
