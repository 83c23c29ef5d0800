"""A run of a spec's text whose stages and notes are remembered."""

from pathlib import Path
from typing import Any

from runner.api.running import RunSummary, run
from runner.core.stages import Stage
from runner.execute.listener import NullListener


class Log(NullListener):
    """Remembers the stages that began, and what was said."""

    def __init__(self) -> None:
        self.began: list[Stage] = []
        self.notes: list[str] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage)

    def on_note(self, note: str) -> None:
        self.notes.append(note)


def do_spec(spec: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    """Write a spec and run it, recorded in the results.db beside it."""
    log = Log()
    spec.write_text(text)
    ran = run(spec, listen=lambda planned: log, threads=1, db=spec.parent / "results.db", **options)
    return log, ran
