"""An own data set that tests allow: images in an .npz file, and a spec that names it."""

from pathlib import Path

import numpy as np

CELLS = '''
"""A data set of a test."""

from pathlib import Path

import numpy as np


class Cells:
    def __init__(self, path: Path, stain: int = 0):
        with np.load(path) as file:
            self.images, self.labels = file["images"], file["labels"]
        self.stain = stain

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index, self.stain], self.labels[index]
'''
SPEC = """\
name: cells
data: {dataset: "cells.py:Cells", path: cells.npz}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 8, optimizer: {name: sgd, lr: 0.1}}
"""


def write_images(folder: Path, seed: int = 0) -> None:
    """Write forty images of two stains, (40, 2, 6, 5) uint8, of two classes."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (40, 2, 6, 5), dtype=np.uint8)
    np.savez(folder / "cells.npz", images=images, labels=np.arange(40) % 2)


def write_cells(folder: Path, cells: str = CELLS, spec: str = SPEC) -> Path:
    """Write own code, its images and a spec that names it into a folder; return the spec."""
    (folder / "cells.py").write_text(cells)
    (folder / "cells.yaml").write_text(spec)
    write_images(folder)
    return folder / "cells.yaml"
