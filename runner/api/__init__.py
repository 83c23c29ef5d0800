"""The verbs of the command line, for Python: each returns an object with a ``frame()``.

Those that read take ``db=REFERENCE`` for the results that ship with the program.
"""

from runner.api.caching import clear_cache, list_cache
from runner.api.checking import check_database, database_info, dump_database
from runner.api.comparing import diff
from runner.api.creating import new_spec
from runner.api.evaluating import evaluate
from runner.api.explaining_images import inspect_saliency
from runner.api.exporting import export
from runner.api.exporting_records import export_records
from runner.api.foreseeing import actual
from runner.api.inspecting import inspect_analysis
from runner.api.inspecting_predictions import inspect_predictions, write_confusion
from runner.api.inspecting_robustness import inspect_robustness
from runner.api.listing import list_runs
from runner.api.listing_workers import list_workers
from runner.api.merging import merge_databases
from runner.api.neighbours import inspect_neighbours
from runner.api.planning import plan
from runner.api.plotting import plot
from runner.api.predicting import predict
from runner.api.predictions import predictions
from runner.api.report_folder import write_report
from runner.api.reporting import list_tables, report, report_sql
from runner.api.running import run
from runner.api.scripting import new_script
from runner.api.showing import show
from runner.api.sizing import inspect_sizes
from runner.api.submitting import slurm
from runner.api.validating import validate
from runner.api.verifying import verify
from runner.api.working import work
from runner.bind.kept_run import KeptRun
from runner.bind.request import Request
from runner.bind.workspace import REFERENCE
from runner.components.own.permission import allow_code
from runner.spec.schema import spec_schema

__all__ = [
    "REFERENCE",
    "KeptRun",
    "Request",
    "actual",
    "allow_code",
    "check_database",
    "clear_cache",
    "database_info",
    "diff",
    "dump_database",
    "evaluate",
    "export",
    "export_records",
    "inspect_analysis",
    "inspect_neighbours",
    "inspect_predictions",
    "inspect_robustness",
    "inspect_saliency",
    "inspect_sizes",
    "list_cache",
    "list_runs",
    "list_tables",
    "list_workers",
    "merge_databases",
    "new_script",
    "new_spec",
    "plan",
    "plot",
    "predict",
    "predictions",
    "report",
    "report_sql",
    "run",
    "show",
    "slurm",
    "spec_schema",
    "validate",
    "verify",
    "work",
    "write_confusion",
    "write_report",
]
