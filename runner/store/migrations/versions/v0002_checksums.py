"""Checksums of what is recorded, and claims that hold when the clock is set."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("experiments", "runs", "results", "attempts"):
        op.add_column(table, sa.Column("checksum", sa.String(), nullable=True))
    op.add_column("database", sa.Column("schema_checksum", sa.String(), nullable=True))
    op.add_column("claims", sa.Column("process_ticks", sa.Integer(), nullable=True))
    op.add_column("claims", sa.Column("lease_monotonic", sa.Float(), nullable=True))
