"""Cells of folds: the fold, 0 where there are none, is part of where a cell stands."""

import sqlalchemy as sa
from alembic import op

from runner.store.column_types import INTEGER, TEXT

revision = "0007"
down_revision = "0006"

COLUMNS = "experiment_id, position, seed, labels, swept, published, settings_key, run_key, settings"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        fold = sa.Column("fold", INTEGER, server_default="0", nullable=False)
        op.add_column("cells", fold)
        op.drop_constraint("cells_pkey", "cells", type_="primary")
        op.create_primary_key("cells_pkey", "cells", ["experiment_id", "position", "seed", "fold"])
        return
    # SQLite will not rename a table while views speak of it
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid"
    views = op.get_bind().exec_driver_sql(query).all()
    for name, _ in reversed(views):
        op.execute(f"DROP VIEW {name}")
    op.drop_index("cells_by_run", "cells")
    op.create_table(
        "cells_of_folds",
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("seed", INTEGER, nullable=False),
        sa.Column("fold", INTEGER, server_default="0", nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("swept", sa.JSON(), nullable=False),
        sa.Column("published", sa.JSON(), nullable=False),
        sa.Column("settings_key", TEXT, nullable=False),
        sa.Column("run_key", TEXT, nullable=True),
        sa.Column("settings", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"]),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"]),
        sa.PrimaryKeyConstraint("experiment_id", "position", "seed", "fold"),
    )
    op.execute(f"INSERT INTO cells_of_folds ({COLUMNS}) SELECT {COLUMNS} FROM cells")
    op.drop_table("cells")
    op.rename_table("cells_of_folds", "cells")
    op.create_index("cells_by_run", "cells", ["run_key"])
    for _, text in views:
        op.get_bind().exec_driver_sql(text)
