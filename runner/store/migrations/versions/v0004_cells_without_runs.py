"""Cells whose run is not known yet: settings in place of a run key."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("cells", "run_key", existing_type=TEXT, nullable=True)
        op.add_column("cells", sa.Column("settings", sa.JSON(), nullable=True))
        return
    # SQLite makes the table anew, and will not rename it while views speak of it
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid"
    views = op.get_bind().exec_driver_sql(query).all()
    for name, _ in reversed(views):
        op.execute(f"DROP VIEW {name}")
    with op.batch_alter_table("cells") as cells:
        cells.alter_column("run_key", existing_type=TEXT, nullable=True)
        cells.add_column(sa.Column("settings", sa.JSON(), nullable=True))
    for _, text in views:
        op.get_bind().exec_driver_sql(text)
