"""The grid that arrays of workers do, and what is asked of its database meanwhile."""

from pathlib import Path
from typing import Any

from grids import ask

GRID = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6], batch_norm: true}
train: {epochs: 80, batch_size: 8, optimizer: adam}
sweep:
  grid: {lr: [0.01, 0.03], dropout: [0.0, 0.3]}
"""
EPOCHS = "SELECT count(*) FROM steps"
HOLDERS = "SELECT DISTINCT pid FROM claims"
ATTEMPTS = "SELECT number, status FROM attempts JOIN stages USING (stage_key) WHERE kind = 'train'"


def asked(folder: Path, query: str) -> list[tuple[Any, ...]]:
    try:
        return ask(folder, query)
    except Exception:  # no table yet
        return []
