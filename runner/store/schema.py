"""The tables.

A metric belongs to the *attempt* that measured it, and a run reads ranges of epochs of attempts:
resumed, shared and repeated trainings are all told apart by these ranges, and each number has its
environment. Views put the ranges together for people.
"""

import sqlalchemy as sa

from runner.store.column_types import INTEGER, TEXT
from runner.store.json_types import JsonList, JsonObject

metadata = sa.MetaData()

settings_of_database = sa.Table(
    "database",
    metadata,
    sa.Column("identity", TEXT, primary_key=True),
    sa.Column("schema_checksum", TEXT),
    comment="One row: a random identity, so that checkpoints know their database.",
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("variant", TEXT, nullable=False),
    sa.Column("about", TEXT, nullable=False),
    sa.Column("path", TEXT, nullable=False),
    sa.Column("document", JsonObject, nullable=False),
    sa.Column("source", TEXT, nullable=False),
    sa.Column("recorded", sa.Float, nullable=False),
    sa.Column("checksum", TEXT),
    sa.UniqueConstraint("name", "variant"),
    comment="Specs as last run: the merged document and the text of the file.",
)

finished_grids = sa.Table(
    "finished_grids",
    metadata,
    sa.Column("experiment_id", sa.ForeignKey("experiments.id"), primary_key=True),
    sa.Column("key", TEXT, primary_key=True),
    sa.Column("recorded", sa.Float, nullable=False),
    sa.Column("document", JsonObject, nullable=False),
    sa.Column("cells", JsonList, nullable=False),
    comment="Earlier versions of experiments of which every cell had a result when another was"
    " recorded: the merged document, and of each cell position, seed, fold, labels, swept settings"
    " and run.",
)

cells = sa.Table(
    "cells",
    metadata,
    sa.Column("experiment_id", sa.ForeignKey("experiments.id"), primary_key=True),
    sa.Column("position", INTEGER, primary_key=True),
    sa.Column("seed", INTEGER, primary_key=True),
    sa.Column("fold", INTEGER, primary_key=True, server_default="0"),
    sa.Column("labels", JsonObject, nullable=False),
    sa.Column("swept", JsonObject, nullable=False),
    sa.Column("published", JsonObject, nullable=False),
    sa.Column("settings_key", TEXT, nullable=False),
    sa.Column("run_key", sa.ForeignKey("runs.run_key")),
    sa.Column("settings", sa.JSON(none_as_null=True)),
    sa.Index("cells_by_run", "run_key"),
    comment="Places in tables: one per combination of the sweep, seed and fold (0 where there are"
    " none). A cell whose data nobody"
    " has looked at has no run yet, but settings.",
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_key", TEXT, primary_key=True),
    sa.Column("settings_key", TEXT, nullable=False),
    sa.Column("settings", JsonObject, nullable=False),
    sa.Column("reader", JsonObject, nullable=False),
    sa.Column("fingerprint", TEXT, nullable=False),
    sa.Column("data_key", TEXT, nullable=False),
    sa.Column("checksum", TEXT),
    comment="Fully resolved trainings on known data.",
)

run_stages = sa.Table(
    "run_stages",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("rerun", INTEGER, primary_key=True),
    sa.Column("position", INTEGER, primary_key=True),
    sa.Column("stage_key", sa.ForeignKey("stages.stage_key"), nullable=False),
    sa.Column("reading", TEXT, nullable=False),
    sa.Index("run_stages_by_stage", "stage_key"),
    comment="The stages that a run needs, parents first; reading is what a training calls the run.",
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("rerun", INTEGER, primary_key=True),
    sa.Column("status", TEXT, nullable=False),
    sa.Column("message", TEXT, nullable=False),
    sa.Column("best_epoch", INTEGER),
    sa.Column("last_epoch", INTEGER),
    sa.Column("parameters", INTEGER),
    sa.Column("train_seconds", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("device", TEXT, nullable=False),
    sa.Column("recorded", sa.Float, nullable=False),
    sa.Column("checksum", TEXT),
    comment="How runs ended; rerun counts --rerun, and the highest one is shown.",
)

run_epochs = sa.Table(
    "run_epochs",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("rerun", INTEGER, primary_key=True),
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("first_epoch", INTEGER, nullable=False),
    sa.Column("last_epoch", INTEGER, nullable=False),
    comment="The epochs of attempts that make up a run's record, also while the run trains: then up"
    " to the last epoch that it may read.",
)

stages = sa.Table(
    "stages",
    metadata,
    sa.Column("stage_key", TEXT, primary_key=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("spec", JsonObject, nullable=False),
    sa.Column("needs", JsonList, nullable=False),
    sa.Column("cost_kind", TEXT, nullable=False),
    sa.Index("stages_by_cost_kind", "cost_kind"),
    comment="Units of work by content key.",
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("stage_key", sa.ForeignKey("stages.stage_key"), nullable=False),
    sa.Column("number", INTEGER, nullable=False),
    sa.Column("status", TEXT, nullable=False),
    sa.Column("environment_id", sa.ForeignKey("environments.id"), nullable=False),
    sa.Column("numerics", JsonObject, nullable=False),
    sa.Column("device", TEXT, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("outcome", JsonObject),
    sa.Column("predicted", JsonObject),
    sa.Column("error", TEXT, nullable=False),
    sa.Column("checksum", TEXT),
    sa.UniqueConstraint("stage_key", "number"),
    comment="Executions of stages; times are seconds since 1970 (UTC) and wall seconds;"
    " predicted has the epochs and seconds that the plan expected.",
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("stage_key", sa.ForeignKey("stages.stage_key"), primary_key=True),
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), nullable=False),
    sa.Column("host", TEXT, nullable=False),
    sa.Column("boot_id", TEXT, nullable=False),
    sa.Column("pid", INTEGER, nullable=False),
    sa.Column("process_started", sa.Float, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("process_ticks", INTEGER),
    sa.Column("lease_monotonic", sa.Float),
    comment="Stages being done now, and by which process.",
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("split", TEXT, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("epoch", INTEGER, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sqlite_with_rowid=False,
    comment="Measured after each epoch; split is train, train_eval, val or test.",
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("epoch", INTEGER, primary_key=True),
    sa.Column("learning_rate", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("losses", JsonList, nullable=False),
    sqlite_with_rowid=False,
    comment="Per epoch: learning rate, wall seconds, and the loss of every step as a JSON list.",
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("split", TEXT, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("epoch", INTEGER, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sqlite_with_rowid=False,
    comment="Measured once, on the weights of one epoch.",
)

analyses = sa.Table(
    "analyses",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("rerun", INTEGER, primary_key=True),
    sa.Column("analysis_key", TEXT, primary_key=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("stage_key", sa.ForeignKey("stages.stage_key"), nullable=False),
    sa.Index("analyses_by_stage", "stage_key"),
    comment="The analyses that specs ask for of runs, and the stages that make them.",
)

analysis_values = sa.Table(
    "analysis_values",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("dims", TEXT, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sqlite_with_rowid=False,
    comment="The numbers of analyses; dims has the place of each along the analysis' dimensions.",
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("stage_key", sa.ForeignKey("stages.stage_key"), nullable=False),
    sa.Column("digest", TEXT, nullable=False),
    sa.Column("num_bytes", INTEGER, nullable=False),
    sa.Index("artifacts_by_stage", "stage_key"),
    comment="What stages left in .runner/ (pixels, features, weights, logits, analyses), with"
    " digests.",
)

verifications = sa.Table(
    "verifications",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("spec", TEXT, nullable=False),
    sa.Column("sets", JsonList, nullable=False),
    sa.Column("is_same", sa.Boolean, nullable=False),
    sa.Column("runs", JsonList, nullable=False),
    sa.Column("environment_id", sa.ForeignKey("environments.id"), nullable=False),
    sa.Column("recorded", sa.Float, nullable=False),
    comment="Comparisons of runs with sharing and without, as `verify` made them.",
)

commits = sa.Table(
    "commits",
    metadata,
    sa.Column("writer", TEXT, primary_key=True),
    sa.Column("number", INTEGER, nullable=False),
    sa.Column("written", sa.Float, nullable=False),
    comment="In a server's database, the last transaction of each writer: who lost the connection"
    " while it committed looks here whether it did.",
)

environments = sa.Table(
    "environments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", TEXT, nullable=False, unique=True),
    sa.Column("content", JsonObject, nullable=False),
    comment="Versions, machine and code that attempts ran with.",
)
