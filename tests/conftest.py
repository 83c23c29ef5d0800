"""What holds for all tests: one thread each, since two test processes share two cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
