"""What a made-up state of a test says of itself."""

from typing import Any

STATE_VALUES: dict[str, Any] = {
    "epoch": 3,
    "segment": "seg",
    "readers": ["one", "two"],
    "history": [{"val_loss": 0.5}] * 3,
    "best_epochs": [2],
    "reads": [[7, 1, 3]],
    "inputs": {"pixels": "p", "features": ""},
    "numerics": {"threads": 1},
    "diverged_if": 10.0,
    "written": {"weights/one-best": "digest", "weights/gone-best": "digest"},
}
