"""A process that merges one database into another, and is killed at a named moment."""

import signal
import subprocess
import sys

from planted import check_moment
from waiting import PATIENCE

KILLED_AT = """\
import os, signal, sys
from runner.core import moments
from runner.store import merge, merge_verifications
from runner.store.database import open_database
from runner.store.merge_experiments import merge as merge_databases

source, target, moment, call = sys.argv[1:]
left = int(call)

def hook(name):
    global left
    left -= name == moment
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

moments.hook, merge.FIRST_BATCH, merge.BATCH_SECONDS = hook, 1, 60.0
merge_verifications.TOGETHER = 2
with open_database(source) as other, open_database(target) as mine:
    merge_databases(mine, other)
"""


def merge_killed_at(source: str, target: str, moment: str, call: int) -> None:
    """Merge in another process, which is killed when a moment is reached for that time."""
    check_moment(moment)
    words = [sys.executable, "-c", KILLED_AT, source, target, moment, str(call)]
    assert subprocess.run(words, timeout=PATIENCE).returncode == -signal.SIGKILL
