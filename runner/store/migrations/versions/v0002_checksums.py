"""Checksums of what is recorded, and claims that hold when the clock is set."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("experiments", "runs", "results", "attempts"):
        op.add_column(table, sa.Column("checksum", TEXT, nullable=True))
    op.add_column("database", sa.Column("schema_checksum", TEXT, nullable=True))
    op.add_column("claims", sa.Column("process_ticks", INTEGER, nullable=True))
    op.add_column("claims", sa.Column("lease_monotonic", sa.Float(), nullable=True))
