"""Devices are looked for once somebody computes; their names are checked before."""

from pathlib import Path

import pytest

from runner import api
from runner.bind.late_numerics import LateNumerics
from runner.bind.request import Request
from runner.core.errors import UsageError

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 16}
"""


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:-1", "CPU", ""])
def test_names_of_no_device_are_refused_at_once(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        LateNumerics(Request("small.yaml", device=name))


@pytest.mark.slow
def test_a_device_that_is_not_here_is_refused_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    with pytest.raises(UsageError, match="no device 'cuda:99' here"):
        api.run("small.yaml", device="cuda:99")
    assert api.list_runs().frame().empty
    api.run("small.yaml", device="cpu")
    assert api.run("small.yaml", device="cuda:99").before == 1  # nothing is left to compute
