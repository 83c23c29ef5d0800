"""What several processes do at once in the tests of the store; a script, run by them."""

import json
import os
import sys
import time
from pathlib import Path

from runner.store.catalogue import record_environment
from runner.store.claims import Claimed, NewAttempt, claim_stage
from runner.store.database import open_database
from runner.store.recorder import end_attempt


def meet(folder: Path, count: int) -> None:
    """Wait until ``count`` processes have come here."""
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < count and time.monotonic() < deadline:
        time.sleep(0.001)


def main() -> None:
    """Wait for the others, make or open the database, then claim whatever is free."""
    where, home = sys.argv[1], Path(sys.argv[2])
    count, num_stages = int(sys.argv[3]), int(sys.argv[4])
    meet(home / "imported", count)
    database = open_database(where)
    environment = record_environment(database, {"same": True})
    meet(home / "opened", count)
    mine = []
    for number in range(num_stages):
        taken = claim_stage(database, f"s{number:03d}", NewAttempt(environment, {}, "cpu"))
        if isinstance(taken, Claimed):
            mine.append(number)
            end_attempt(database, taken, "done", 0.0, outcome={})
            time.sleep(0.01)  # SQLite's lock is not fair: let the others have a turn
    print(json.dumps({"identity": database.identity(), "claimed": mine}))
    database.close()


if __name__ == "__main__":
    main()
