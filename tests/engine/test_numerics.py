"""What may change rounding: threads by stage, denormal numbers, quotas."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benches import CPU, Bench, settings_of

from runner.engine import numerics
from runner.engine.arithmetic import CUBLAS_VARIABLE
from runner.engine.network.layout import count_multiply_adds, network_layout


@pytest.fixture
def four_threads() -> Iterator[None]:
    with numerics.on_threads(4):
        yield


def test_a_stage_has_a_thread_for_each_16_million_multiply_adds_of_a_batch_up_to_all_cores(
    tmp_path: Path,
) -> None:
    train = Bench(tmp_path, settings_of({"batch_size": 16})).stage("train")
    made = numerics.begin_numerics(CPU, 4)
    threads = [
        made.threads(replace(train, multiply_adds=number << 20)) for number in (0, 1, 2, 3, 900)
    ]
    assert threads == [1, 1, 2, 3, 4]
    assert made.of(replace(train, multiply_adds=2 << 20))["threads"] == 2
    assert made.of_machine()["threads"] == 4


def test_multiply_adds_are_those_of_convolutions_and_linear_layers() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, groups=1, padding=1, device="meta"),
        torch.nn.BatchNorm2d(8, device="meta"),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 4 * 4, 10, device="meta"),
    )
    assert count_multiply_adds(network, (3, 8, 8)) == 8 * 4 * 4 * 3 * 9 + 8 * 4 * 4 * 10
    alexnet = settings_of(model={"name": "alexnet"})
    assert network_layout(alexnet, (3, 224, 224), 1000).multiply_adds == 714_188_480


@pytest.mark.slow
def test_numbers_too_small_are_flushed_by_every_thread_of_a_process_that_began_so() -> None:
    code = (
        "import torch; from runner.engine.numerics import begin_numerics;"
        "torch.set_num_threads(4); made = begin_numerics(torch.device('cpu'));"
        "small = torch.full((1 << 20,), 1 << 20, dtype=torch.int32).view(torch.float32) * 0.5;"
        "print(made.of_machine()['flush_denormal'], small.view(torch.int32).count_nonzero())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "True tensor(0)\n"


@pytest.mark.slow
def test_threads_that_began_before_are_found_out() -> None:
    code = (
        "import torch; from runner.engine.numerics import begin_numerics;"
        "torch.set_num_threads(4); torch.ones(1 << 20) * 0.5;"
        "print(begin_numerics(torch.device('cpu')).of_machine()['flush_denormal'])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


@pytest.mark.parametrize(
    ("said", "cores"),
    [("max 100000", 4), ("150000 100000", 2), ("20000 100000", 1), ("900000 100000", 4), ("?", 4)],
)
def test_the_quota_of_a_container_limits_the_cores(
    said: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, four_threads: None
) -> None:
    (tmp_path / "cpu.max").write_text(said)
    monkeypatch.setattr(numerics, "CPU_QUOTA", tmp_path / "cpu.max")
    assert numerics.available_cores() == cores
    monkeypatch.setattr(numerics, "CPU_QUOTA", tmp_path / "none")
    assert numerics.available_cores() == 4


def test_what_an_earlier_engine_left_is_of_other_numerics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train = Bench(tmp_path, settings_of()).stage("train")
    now = numerics.begin_numerics(CPU).of(train)
    monkeypatch.setattr(numerics, "ENGINE", numerics.ENGINE - 1)
    assert numerics.begin_numerics(CPU).of(train) != now


@pytest.mark.parametrize("asked", [False, True])
def test_a_cpu_has_the_same_numerics_whether_it_is_asked_to_repeat_itself_or_not(
    asked: bool, tmp_path: Path
) -> None:
    train = Bench(tmp_path, settings_of({"precision": "tf32"})).stage("train")
    made = numerics.begin_numerics(CPU, 4, asked)
    assert made.of(train) == numerics.begin_numerics(CPU, 4).of(train)
    assert made.of(train)["tf32"] is False
    assert made.notes({"tf32", "bf16"}) == [
        "precision tf32 is computed as fp32 on cpu, which has no TF32"
    ]


def test_numerics_of_a_gpu_follow_precision_and_mode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setenv(CUBLAS_VARIABLE, "")
    found = {}
    for precision, asked in (("fp32", False), ("tf32", True)):
        train = Bench(tmp_path, settings_of({"precision": precision})).stage("train")
        made = numerics.begin_numerics(torch.device("cuda"), 4, asked).of(train)
        found[precision] = [made[name] for name in ("tf32", "channels_last", "deterministic")]
        assert bool(os.environ[CUBLAS_VARIABLE]) is asked  # before CUDA starts
    assert found == {"fp32": [False, False, False], "tf32": [True, True, True]}
