"""Which transaction of each writer was the last that a server has committed."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "commits",
        sa.Column("writer", TEXT, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("written", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("writer"),
    )
