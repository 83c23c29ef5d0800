"""The views: a run's numbers put together from the attempts that it reads.

Plain SQL that SQLite and PostgreSQL both take; a migration holds a copy, and a test compares.
"""

RUN_METRICS = """
CREATE VIEW run_metrics AS
SELECT reads.run_key, reads.rerun, metrics.epoch, metrics.split, metrics.name, metrics.value
FROM reads
JOIN metrics ON metrics.attempt_id = reads.attempt_id
  AND metrics.epoch BETWEEN reads.first_epoch AND reads.last_epoch
UNION ALL
SELECT reads.run_key, reads.rerun, evaluations.epoch, evaluations.split, evaluations.name,
  evaluations.value
FROM reads
JOIN evaluations ON evaluations.attempt_id = reads.attempt_id
  AND evaluations.epoch BETWEEN reads.first_epoch AND reads.last_epoch
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
SELECT reads.run_key, reads.rerun, steps.epoch, steps.learning_rate, steps.seconds, steps.losses
FROM reads
JOIN steps ON steps.attempt_id = reads.attempt_id
  AND steps.epoch BETWEEN reads.first_epoch AND reads.last_epoch
"""


def _metric(split: str, name: str, epoch: str) -> str:
    return (
        f"(SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key"
        f" AND m.rerun = result.rerun AND m.split = '{split}' AND m.name = '{name}'"
        f" AND m.epoch = result.{epoch}) AS {split}_{name}"
    )


RUN_SUMMARY = f"""
CREATE VIEW run_summary AS
SELECT runs.run_key AS run,
  (SELECT min(experiments.name) FROM cells JOIN experiments
     ON experiments.id = cells.experiment_id WHERE cells.run_key = runs.run_key) AS experiment,
  coalesce(result.status, 'unfinished') AS status,
  json_extract(runs.settings, '$.seed') AS seed,
  json_extract(runs.settings, '$.data.dataset') AS dataset,
  json_extract(runs.settings, '$.model.name') AS model,
  json_extract(runs.settings, '$.train.optimizer.name') AS optimizer,
  json_extract(runs.settings, '$.train.optimizer.lr') AS lr,
  json_extract(runs.settings, '$.train.batch_size') AS batch_size,
  json_extract(runs.settings, '$.train.epochs') AS epochs,
  result.best_epoch, result.last_epoch, result.parameters,
  {_metric("train", "loss", "last_epoch")},
  {_metric("train", "accuracy", "last_epoch")},
  {_metric("val", "loss", "best_epoch")},
  {_metric("val", "accuracy", "best_epoch")},
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key
     AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy'
     ORDER BY value DESC LIMIT 1) AS max_val_accuracy,
  {_metric("test", "loss", "best_epoch")},
  {_metric("test", "accuracy", "best_epoch")},
  result.train_seconds, result.seconds, result.device, result.message, runs.settings
FROM runs LEFT JOIN latest_results AS result ON result.run_key = runs.run_key
"""

VIEWS = {
    "run_metrics": RUN_METRICS,
    "latest_results": LATEST_RESULTS,
    "run_steps": RUN_STEPS,
    "run_summary": RUN_SUMMARY,
}
"""In the order in which they must be created."""
