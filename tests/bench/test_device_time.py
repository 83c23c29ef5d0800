"""The time in which a GPU works is that of the union of its kernels."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "bench"))

from device_time import covered, while_profiled


@pytest.mark.parametrize(
    ("spans", "length"),
    [
        ([], 0),
        ([(5, 7)], 2),
        ([(0, 2), (5, 6)], 3),
        ([(4, 9), (0, 5)], 9),
        ([(0, 9), (1, 2), (3, 4)], 9),
        ([(0, 1), (1, 3)], 3),
    ],
)
def test_what_is_under_way_at_once_counts_once(
    spans: list[tuple[float, float]], length: float
) -> None:
    assert covered(spans) == length


@pytest.mark.gpu
def test_a_gpu_works_for_a_part_of_the_time() -> None:
    matrix = torch.ones(2048, 2048, device="cuda")
    done, milliseconds = while_profiled(lambda: matrix @ matrix, torch.cuda.synchronize)
    assert done.shape == (2048, 2048)
    assert 0 < milliseconds < 1000
