"""The epochs of runs have their own table, which runs in progress have rows in, too."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0005"
down_revision = "0004"

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

RUN_STEPS = """
CREATE VIEW run_steps AS
SELECT run_epochs.run_key, run_epochs.rerun, steps.epoch, steps.learning_rate, steps.seconds,
  steps.losses
FROM run_epochs
JOIN steps ON steps.attempt_id = run_epochs.attempt_id
  AND steps.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        _tables()  # a server's views are made anew after all migrations
        return
    # run_summary goes as well, for it reads run_metrics, and comes back as it was
    query = "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = 'run_summary'"
    (summary,) = op.get_bind().exec_driver_sql(query).one()
    for view in ("run_summary", "run_steps", "run_metrics"):
        op.execute(f"DROP VIEW {view}")
    _tables()
    op.execute(RUN_METRICS)
    op.execute(RUN_STEPS)
    op.get_bind().exec_driver_sql(summary)


def _tables() -> None:
    op.create_table(
        "run_epochs",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("rerun", INTEGER, nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("first_epoch", INTEGER, nullable=False),
        sa.Column("last_epoch", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"]),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"]),
        sa.PrimaryKeyConstraint("run_key", "rerun", "attempt_id"),
    )
    columns = "run_key, rerun, attempt_id, first_epoch, last_epoch"
    op.execute(f"INSERT INTO run_epochs ({columns}) SELECT {columns} FROM reads")
    op.drop_table("reads")
