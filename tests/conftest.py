"""What holds for all tests: one thread each, since two test processes share two cores."""

import os

from examples import examples
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("runner", max_examples=examples(100))
settings.load_profile("runner")
