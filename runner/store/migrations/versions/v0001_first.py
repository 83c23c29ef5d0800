"""The first schema."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0001"
down_revision = None

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

RUN_SUMMARY = """
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
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'train' AND m.name = 'loss' AND m.epoch = result.last_epoch) AS train_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'train' AND m.name = 'accuracy' AND m.epoch = result.last_epoch) AS train_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'loss' AND m.epoch = result.best_epoch) AS val_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy' AND m.epoch = result.best_epoch) AS val_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key
     AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy'
     ORDER BY value DESC LIMIT 1) AS max_val_accuracy,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'test' AND m.name = 'loss' AND m.epoch = result.best_epoch) AS test_loss,
  (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key AND m.rerun = result.rerun AND m.split = 'test' AND m.name = 'accuracy' AND m.epoch = result.best_epoch) AS test_accuracy,
  result.train_seconds, result.seconds, result.device, result.message, runs.settings
FROM runs LEFT JOIN latest_results AS result ON result.run_key = runs.run_key
"""


def upgrade() -> None:
    _tables()
    if op.get_bind().dialect.name != "sqlite":
        return  # a server's views are made anew after all migrations
    for view in (RUN_METRICS, LATEST_RESULTS, RUN_STEPS, RUN_SUMMARY):
        op.execute(view)


def _tables() -> None:
    op.create_table(
        "database",
        sa.Column("identity", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("identity"),
        comment="One row: a random identity, so that checkpoints know their database.",
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
        comment="Versions, machine and code that attempts ran with.",
    )
    op.create_table(
        "verifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("sets", sa.JSON(), nullable=False),
        sa.Column("is_same", sa.Boolean(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Comparisons of runs with sharing and without, as `verify` made them.",
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("variant", TEXT, nullable=False),
        sa.Column("about", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("recorded", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "variant"),
        comment="Specs as last run: the merged document and the text of the file.",
    )
    op.create_table(
        "runs",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("settings_key", TEXT, nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("reader", sa.JSON(), nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("data_key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_key"),
        comment="Fully resolved trainings on known data.",
    )
    op.create_table(
        "stages",
        sa.Column("stage_key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("needs", sa.JSON(), nullable=False),
        sa.Column("cost_kind", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("stage_key"),
        comment="Units of work by content key.",
    )
    op.create_index("stages_by_cost_kind", "stages", ["cost_kind"], unique=False)
    op.create_table(
        "artifacts",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("stage_key", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("num_bytes", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["stage_key"],
            ["stages.stage_key"],
        ),
        sa.PrimaryKeyConstraint("name"),
        comment="What stages left in .runner/: pixels and weights, with a digest of their content.",
    )
    op.create_index("artifacts_by_stage", "artifacts", ["stage_key"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stage_key", TEXT, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("numerics", sa.JSON(), nullable=False),
        sa.Column("device", TEXT, nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("predicted", sa.JSON(), nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
        ),
        sa.ForeignKeyConstraint(
            ["stage_key"],
            ["stages.stage_key"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stage_key", "number"),
        comment="Executions of stages; times are seconds since 1970 (UTC) and wall seconds;"
        " predicted has the epochs and seconds that the plan expected.",
    )
    op.create_table(
        "cells",
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("seed", INTEGER, nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("swept", sa.JSON(), nullable=False),
        sa.Column("published", sa.JSON(), nullable=False),
        sa.Column("settings_key", TEXT, nullable=False),
        sa.Column("run_key", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_key"],
            ["runs.run_key"],
        ),
        sa.PrimaryKeyConstraint("experiment_id", "position", "seed"),
        comment="Places in tables: one per combination of the sweep and seed.",
    )
    op.create_index("cells_by_run", "cells", ["run_key"], unique=False)
    op.create_table(
        "results",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("rerun", INTEGER, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("best_epoch", INTEGER, nullable=True),
        sa.Column("last_epoch", INTEGER, nullable=True),
        sa.Column("parameters", INTEGER, nullable=True),
        sa.Column("train_seconds", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("device", TEXT, nullable=False),
        sa.Column("recorded", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"],
            ["runs.run_key"],
        ),
        sa.PrimaryKeyConstraint("run_key", "rerun"),
        comment="How runs ended; rerun counts --rerun, and the highest one is shown.",
    )
    op.create_table(
        "run_stages",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("rerun", INTEGER, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("stage_key", TEXT, nullable=False),
        sa.Column("reading", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_key"],
            ["runs.run_key"],
        ),
        sa.ForeignKeyConstraint(
            ["stage_key"],
            ["stages.stage_key"],
        ),
        sa.PrimaryKeyConstraint("run_key", "rerun", "position"),
        comment="The stages that a run needs, parents first.",
    )
    op.create_index("run_stages_by_stage", "run_stages", ["stage_key"], unique=False)
    op.create_table(
        "claims",
        sa.Column("stage_key", TEXT, nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("pid", INTEGER, nullable=False),
        sa.Column("process_started", sa.Float(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["stage_key"],
            ["stages.stage_key"],
        ),
        sa.PrimaryKeyConstraint("stage_key"),
        comment="Stages being done now, and by which process.",
    )
    op.create_table(
        "evaluations",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("split", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.PrimaryKeyConstraint("attempt_id", "split", "name", "epoch"),
        comment="Measured once, on the weights of one epoch.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metrics",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("split", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.PrimaryKeyConstraint("attempt_id", "split", "name", "epoch"),
        comment="Measured after each epoch; split is train, train_eval, val or test.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reads",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("rerun", INTEGER, nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("first_epoch", INTEGER, nullable=False),
        sa.Column("last_epoch", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_key", "rerun"],
            ["results.run_key", "results.rerun"],
        ),
        sa.PrimaryKeyConstraint("run_key", "rerun", "attempt_id"),
        comment="The epochs of attempts that make up a run's record.",
    )
    op.create_table(
        "steps",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("learning_rate", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("losses", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.PrimaryKeyConstraint("attempt_id", "epoch"),
        comment="Per epoch: learning rate, wall seconds, and the loss of every step as a JSON list.",
        sqlite_with_rowid=False,
    )
