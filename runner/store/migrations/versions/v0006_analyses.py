"""Analyses of the weights that runs keep, with numbers along dimensions of their own."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0006"
down_revision = "0005"

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


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("run_key", TEXT, nullable=False),
        sa.Column("rerun", INTEGER, nullable=False),
        sa.Column("analysis_key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("stage_key", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"]),
        sa.ForeignKeyConstraint(["stage_key"], ["stages.stage_key"]),
        sa.PrimaryKeyConstraint("run_key", "rerun", "analysis_key"),
    )
    op.create_index("analyses_by_stage", "analyses", ["stage_key"])
    op.create_table(
        "analysis_values",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("dims", TEXT, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"]),
        sa.PrimaryKeyConstraint("attempt_id", "name", "dims"),
        sqlite_with_rowid=False,
    )
    if (
        op.get_bind().dialect.name == "sqlite"
    ):  # a server's views are made anew after all migrations
        op.execute(RUN_ANALYSES)
