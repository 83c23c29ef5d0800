"""Keys of the catalogue's cells, frozen: a change of one loses what users have computed.

``UPDATE_GOLDEN=1 pytest tests/lower/test_frozen_keys.py`` writes them anew, which is right only for
a spec that was changed itself.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.core.types import FrozenPrefix
from runner.lower.stages import make_run, naive_chain
from runner.lower.trajectory import data_key, init_key, make_segments, prefix_key
from runner.spec.experiment import ResolvedCell, load_experiment

ROOT = Path(__file__).resolve().parents[2]
SPECS = sorted((ROOT / "experiments").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "frozen_keys.json"
CELLS = 4
"""Cells of a spec: the first, the last, and evenly between them."""


def keys_of(item: ResolvedCell) -> dict[str, Any]:
    """Return every key that a cell leads to, on made-up data and weights."""
    settings = item.settings
    weights = "weights" if getattr(settings.model, "weights", None) else ""
    run = make_run(settings, "fingerprint", weights, item.cell)
    features = prefix_key(settings, "fingerprint", "structure", weights, weights)
    prefix = FrozenPrefix(features, "layer", (4,))
    return {
        "settings": item.cell.settings_key,
        "run": run.run_key,
        "data": data_key(settings, "fingerprint"),
        "init": init_key(settings, "fingerprint", weights),
        "features": features,
        "segments": [each.key for each in make_segments(settings, "fingerprint", weights)],
        "stages": [stage.key for stage in naive_chain(run, settings, 0, prefix)],
        "repeated": [stage.key for stage in naive_chain(run, settings, 1, prefix)],
    }


def frozen(path: Path) -> dict[str, Any]:
    cells = load_experiment(path).cells
    chosen = dict.fromkeys(place * (len(cells) - 1) // (CELLS - 1) for place in range(CELLS))
    return {
        f"{cells[index].cell.position}:{cells[index].cell.seed}": keys_of(cells[index])
        for index in chosen
    }


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_keys_are_those_of_the_first_release(path: Path) -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        golden[path.stem] = frozen(path)
        GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n")
    assert frozen(path) == golden[path.stem]
