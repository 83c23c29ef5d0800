"""What several processes do at once in the tests of the store; a script, run by them."""

import json
import sys
import time
from pathlib import Path

from runner.store.catalogue import record_environment
from runner.store.claims import Claim, claim_stage
from runner.store.database import open_database
from runner.store.recorder import end_attempt


def main() -> None:
    """Wait for the starting signal, make or open the database, then claim whatever is free."""
    path, start, num_stages = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    time.sleep(max(0.0, start - time.time()))
    database = open_database(path)
    environment = record_environment(database, {"same": True})
    mine = []
    for number in range(num_stages):
        taken = claim_stage(database, f"s{number:03d}", environment, {}, "cpu")
        if isinstance(taken, Claim):
            mine.append(number)
            end_attempt(database, taken, "done", 0.0, outcome={})
    print(json.dumps({"identity": database.identity(), "claimed": mine}))
    database.close()


if __name__ == "__main__":
    main()
