"""The verbs of the command line, for notebooks: each returns DataFrames or plain values.

Those that read take ``db=REFERENCE`` for the results that ship with the program.
"""

from runner.api.comparing import diff
from runner.api.listing import list_runs, show
from runner.api.planning import plan
from runner.api.plotting import plot
from runner.api.reporting import report
from runner.api.running import run
from runner.api.validating import validate
from runner.bind.workspace import REFERENCE

__all__ = [
    "REFERENCE",
    "diff",
    "list_runs",
    "plan",
    "plot",
    "report",
    "run",
    "show",
    "validate",
]
