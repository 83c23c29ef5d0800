"""Who asks a device to repeat itself: `run` where it is told to, `verify` always."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from runner import api
from runner.engine import arithmetic, engine

SPEC = """\
name: small
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [4]}
train: {epochs: 1}
"""


class Planning(Exception):
    pass


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("asked", [False, True])
def test_every_stage_is_computed_as_a_run_is_asked_for(
    asked: bool, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def computing(
        device: torch.device, precision: Any, deterministic: bool
    ) -> AbstractContextManager[None]:
        seen.append(deterministic)
        return arithmetic.computing(device, precision, deterministic)

    monkeypatch.setattr(engine, "computing", computing)
    api.run(spec, device="cpu", deterministic=asked)
    assert seen == [asked, asked]  # a training and an evaluation


def planned_by_verify(spec: Path, monkeypatch: pytest.MonkeyPatch, on_step: Any) -> api.Request:
    requests: list[api.Request] = []

    def stop(request: api.Request) -> None:
        requests.append(request)
        raise Planning

    monkeypatch.setattr("runner.api.verifying.make_plan", stop)
    with pytest.raises(Planning):
        api.verify(spec, on_step=on_step)
    return requests[0]


def test_verify_lets_a_gpu_repeat_itself(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    assert planned_by_verify(spec, monkeypatch, said.append).deterministic
    assert not said


def test_verify_says_what_mps_does_not_promise(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.engine.device.choose_device", lambda name: torch.device("mps"))
    said: list[str] = []
    planned_by_verify(spec, monkeypatch, said.append)
    assert said == [
        "mps does not promise to repeat itself: a difference may be the device's, not sharing's"
    ]
