"""Keys of the catalogue's cells, frozen: a change of one loses what users have computed.

``UPDATE_GOLDEN=1 pytest tests/lower/test_frozen_keys.py`` writes them anew, which is right only for
a spec that was changed itself.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.core.keys import canonical_json, content_key
from runner.core.plan import Facts, Plan
from runner.core.prefix import FrozenPrefix
from runner.core.stages import Stage
from runner.lower.stages import make_run, naive_chain, naive_plan
from runner.lower.trajectory import data_key, init_key, make_trajectory, num_views, prefix_key
from runner.planner.rules import apply_rules
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[2]
SPECS = sorted((ROOT / "experiments").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "frozen_keys.json"
GOLDEN_STAGES = Path(__file__).parent / "frozen_stages.json"
CELLS = 4
"""Cells of a spec: the first, the last, and evenly between them."""


def keys_of(item: ResolvedCell) -> dict[str, Any]:
    """Return every key that a cell leads to, on made-up data and weights."""
    settings = item.settings
    weights = "weights" if getattr(settings.model, "weights", None) else ""
    run = make_run(settings, "fingerprint", weights, item.cell)
    views = num_views(settings)
    features = prefix_key(settings, "fingerprint", "structure", weights, weights, views)
    prefix = FrozenPrefix(features, "layer", (4,), views)
    return {
        "settings": item.cell.settings_key,
        "run": run.run_key,
        "data": data_key(settings, "fingerprint"),
        "init": init_key(settings, "fingerprint", weights),
        "features": features,
        "segments": [
            each.key for each in make_trajectory(settings, "fingerprint", weights).segments
        ],
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


ADDED = [("class_weights", None), ("sampling", "shuffled"), ("fold", None), ("step", None)]
"""Settings that were added later, at the value that reproduces what was before."""


def as_first_stored(value: Any) -> Any:
    """Return JSON with the settings that there were, and that are not any more.

    An augmentation could be done by torchvision itself, with ``reference``; false was left out of
    keys. What was added since is left out where it changes nothing.
    """
    if isinstance(value, list | tuple):
        return [as_first_stored(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    removed = {"reference": False} if value.keys() == {"p", "steps"} else {}
    kept = {name: each for name, each in value.items() if (name, each) not in ADDED}
    return {**{name: as_first_stored(each) for name, each in kept.items()}, **removed}


def stored(stage: Stage) -> str:
    """Return a digest of what is stored of a stage, and of what it stands between."""
    spec = canonical_json(as_first_stored(stage.to_json()))
    rest = [stage.key, stage.kind, stage.needs, stage.produces, stage.consumes, stage.cost_key]
    return f"{stage.kind} {content_key('stored', [spec, rest, stage.epochs])}"


def planned(path: Path) -> dict[str, list[str]]:
    """Return all stages of up to 40 cells, each run by itself and as planned together."""
    chains = {}
    for item in load_experiment(path).cells[:40]:
        settings = item.settings
        weights = "weights" if getattr(settings.model, "weights", None) else ""
        run = make_run(settings, "fingerprint", weights, item.cell)
        prefix = None
        if settings.model.freeze != "none":
            views = num_views(settings)
            key = prefix_key(settings, "fingerprint", "structure", weights, weights, views)
            prefix = FrozenPrefix(key, "layer", (4,), views)
        chains[run.run_key] = (run, naive_chain(run, settings, 0, prefix))
    naive = naive_plan(chains.values())
    plan: Plan = apply_rules(naive, Facts())
    return {
        "naive": [stored(stage) for stage in {each.key: each for each in naive.stages}.values()],
        "planned": [stored(stage) for stage in plan.stages],
        "reads": [content_key("reads", [run, keys]) for run, keys in plan.stages_by_run.items()],
    }


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_stages_are_stored_as_in_the_first_release(path: Path) -> None:
    golden = json.loads(GOLDEN_STAGES.read_text()) if GOLDEN_STAGES.is_file() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        golden[path.stem] = planned(path)
        GOLDEN_STAGES.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n")
    assert planned(path) == golden[path.stem]
