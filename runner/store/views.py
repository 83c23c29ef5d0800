"""The views: a run's numbers put together from the attempts that it reads.

Standard SQL but for values in JSON, which stand in `run_summary` alone. For SQLite migrations hold
copies, and a test compares; a server's database gets its views anew after each migration. A run
that trains now has the epochs that are recorded of it in `run_metrics` and `run_steps`, and no
result.
"""

from __future__ import annotations

from runner.store.dialects import SQLITE, Dialect

RUN_METRICS = """
CREATE VIEW run_metrics AS
SELECT run_epochs.run_key, run_epochs.rerun, metrics.epoch, metrics.split, metrics.name,
  metrics.value
FROM run_epochs
JOIN metrics ON metrics.attempt_id = run_epochs.attempt_id
  AND metrics.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
UNION ALL
SELECT run_epochs.run_key, run_epochs.rerun, evaluations.epoch, evaluations.split,
  evaluations.name, evaluations.value
FROM run_epochs
JOIN evaluations ON evaluations.attempt_id = run_epochs.attempt_id
  AND evaluations.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
"""

LATEST_RESULTS = """
CREATE VIEW latest_results AS
SELECT * FROM results
WHERE rerun = (SELECT other.rerun FROM results AS other
               WHERE other.run_key = results.run_key
               ORDER BY (other.status = 'failed'), other.rerun DESC LIMIT 1)
"""

RUN_STEPS = """
CREATE VIEW run_steps AS
SELECT run_epochs.run_key, run_epochs.rerun, steps.epoch, steps.learning_rate, steps.seconds,
  steps.losses
FROM run_epochs
JOIN steps ON steps.attempt_id = run_epochs.attempt_id
  AND steps.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
"""


def test_epoch(dialect: Dialect) -> str:
    """Return the SQL of the epoch whose test is a run's, over ``runs`` and ``result``.

    Of each_epoch that is the best one's.
    """
    wants = dialect.text("runs.reader", "wants_test")
    return f"CASE {wants} WHEN 'last' THEN result.last_epoch ELSE result.best_epoch END"


def metric_of_result(split: str, name: str, epoch: str) -> str:
    """Return the SQL of a number of a run at an epoch, over ``runs`` and ``result``."""
    return (
        f"(SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key"
        f" AND m.rerun = result.rerun AND m.split = '{split}' AND m.name = '{name}'"
        f" AND m.epoch = {epoch}) AS {split}_{name}"
    )


def run_summary(dialect: Dialect) -> str:
    """Return the view of runs with their settings and main numbers."""
    test = test_epoch(dialect)
    return f"""
CREATE VIEW run_summary AS
SELECT runs.run_key AS run,
  asking.name AS experiment, asking.variant,
  coalesce(result.status, 'unfinished') AS status,
  {dialect.integer("runs.settings", "seed")} AS seed,
  {dialect.text("runs.settings", "data", "dataset")} AS dataset,
  {dialect.text("runs.settings", "model", "name")} AS model,
  {dialect.text("runs.settings", "train", "optimizer", "name")} AS optimizer,
  {dialect.number("runs.settings", "train", "optimizer", "lr")} AS lr,
  {dialect.integer("runs.settings", "train", "batch_size")} AS batch_size,
  {dialect.integer("runs.settings", "train", "epochs")} AS epochs,
  result.best_epoch, result.last_epoch, result.parameters,
  {metric_of_result("train", "loss", "result.last_epoch")},
  {metric_of_result("train", "accuracy", "result.last_epoch")},
  {metric_of_result("val", "loss", "result.best_epoch")},
  {metric_of_result("val", "accuracy", "result.best_epoch")},
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key
     AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy'
     ORDER BY value DESC LIMIT 1) AS max_val_accuracy,
  {metric_of_result("test", "loss", test)},
  {metric_of_result("test", "accuracy", test)},
  result.train_seconds, result.seconds, result.device, result.message, runs.settings
FROM runs
JOIN experiments AS asking ON asking.id = (
  SELECT cells.experiment_id FROM cells JOIN experiments ON experiments.id = cells.experiment_id
  WHERE cells.run_key = runs.run_key
  ORDER BY experiments.variant <> '', experiments.name, experiments.variant LIMIT 1)
LEFT JOIN latest_results AS result ON result.run_key = runs.run_key
"""


RUN_ANALYSES = """
CREATE VIEW run_analyses AS
SELECT analyses.run_key, analyses.rerun, analyses.analysis_key, analyses.kind,
  analysis_values.name, analysis_values.dims, analysis_values.value
FROM analyses
JOIN analysis_values ON analysis_values.attempt_id = (
  SELECT attempts.id FROM attempts
  WHERE attempts.stage_key = analyses.stage_key AND attempts.status IN ('done', 'reference')
  ORDER BY attempts.id DESC LIMIT 1)
"""


def views(dialect: Dialect) -> dict[str, str]:
    """Return all views by name, in the order in which they must be created."""
    return {
        "run_metrics": RUN_METRICS,
        "latest_results": LATEST_RESULTS,
        "run_steps": RUN_STEPS,
        "run_summary": run_summary(dialect),
        "run_analyses": RUN_ANALYSES,
    }


VIEWS = views(SQLITE)
"""Those of a file."""
