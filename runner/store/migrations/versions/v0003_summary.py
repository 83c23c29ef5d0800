"""run_summary: what recorded cells ask for, its variant, and the test of the epoch tested."""

from alembic import op

revision = "0003"
down_revision = "0002"

RUN_SUMMARY = """
CREATE VIEW run_summary AS
SELECT runs.run_key AS run,
  asking.name AS experiment, asking.variant,
  coalesce(result.status, 'unfinished') AS status,
  json_extract(runs.settings, '$.seed') AS seed,
  json_extract(runs.settings, '$.data.dataset') AS dataset,
  json_extract(runs.settings, '$.model.name') AS model,
  json_extract(runs.settings, '$.train.optimizer.name') AS optimizer,
  json_extract(runs.settings, '$.train.optimizer.lr') AS lr,
  json_extract(runs.settings, '$.train.batch_size') AS batch_size,
  json_extract(runs.settings, '$.train.epochs') AS epochs,
  result.best_epoch, result.last_epoch, result.parameters,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'train' AND m.name = 'loss' AND m.epoch = result.last_epoch) AS train_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'train' AND m.name = 'accuracy' AND m.epoch = result.last_epoch) AS train_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'loss' AND m.epoch = result.best_epoch) AS val_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy' AND m.epoch = result.best_epoch) AS val_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key
     AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy'
     ORDER BY value DESC LIMIT 1) AS max_val_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'test' AND m.name = 'loss' AND m.epoch = CASE json_extract(runs.reader, '$.wants_test') WHEN 'last' THEN result.last_epoch ELSE result.best_epoch END) AS test_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'test' AND m.name = 'accuracy' AND m.epoch = CASE json_extract(runs.reader, '$.wants_test') WHEN 'last' THEN result.last_epoch ELSE result.best_epoch END) AS test_accuracy,
  result.train_seconds, result.seconds, result.device, result.message, runs.settings
FROM runs
JOIN experiments AS asking ON asking.id = (
  SELECT cells.experiment_id FROM cells JOIN experiments ON experiments.id = cells.experiment_id
  WHERE cells.run_key = runs.run_key
  ORDER BY experiments.variant <> '', experiments.name, experiments.variant LIMIT 1)
LEFT JOIN latest_results AS result ON result.run_key = runs.run_key
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return  # a server's views are made anew after all migrations
    op.execute("DROP VIEW run_summary")
    op.execute(RUN_SUMMARY)
