"""Runs of timm's networks: frozen features are computed once, and sharing changes nothing."""

from pathlib import Path

import pytest

from runner import api
from runner.components.models.timm_names import timm_version

SPEC = """\
name: foreign
data: {dataset: digits, resize: 32, train_images: 200}
model: {name: timm/test_convnext, freeze: features}
train: {epochs: 2}
sweep: {grid: {lr: [0.01, 0.02]}}
"""


@pytest.mark.slow
@pytest.mark.skipif(not timm_version(), reason="timm is not installed")
@pytest.mark.parametrize("freeze", ["features", "none"])
def test_timm_runs_are_shared_and_change_nothing(
    freeze: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC.replace("features", freeze))
    plan = api.plan("spec.yaml", device="cpu")
    kinds = [stage.kind for stage in plan.stages]
    assert kinds.count("features") == (freeze == "features")
    assert plan.not_shared == ()
    assert api.verify("spec.yaml", device="cpu").is_same
    found = api.run("spec.yaml", device="cpu")
    assert set(found.statuses.values()) == {"done"}
