"""How a device computes a stage, by torch's switches; none of it needs a GPU but what is marked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import CPU, Bench, plain_records, settings_of
from torch import nn
from torch.nn import functional

from runner.core.errors import StageFailed
from runner.engine import arithmetic, engine
from runner.engine.arithmetic import computing, memory_format, precision_notes, uses_tf32
from runner.engine.data import samples
from runner.engine.network import build
from runner.engine.pooling import SteadyPooling
from runner.engine.stages import train
from runner.engine.training.step import TrainingStep

CUDA, MPS = torch.device("cuda"), torch.device("mps")
CONVNET = {"name": "convnet", "filters": [4, 6], "linear": [8], "batch_norm": True}
FORMATS = {"last": torch.channels_last, "contiguous": torch.contiguous_format}


@pytest.fixture(autouse=True)
def ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))


@pytest.fixture(autouse=True)
def variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(arithmetic.CUBLAS_VARIABLE, "")


def switches() -> dict[str, Any]:
    backends = torch.backends
    return {
        "matmul": backends.cuda.matmul.fp32_precision,
        "conv": backends.cudnn.conv.fp32_precision,
        "rnn": backends.cudnn.rnn.fp32_precision,
        "deterministic": backends.cudnn.deterministic,
        "benchmark": backends.cudnn.benchmark,
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
        "modes": torch._C._len_torch_function_stack(),
    }


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before = switches()
    yield
    assert switches() == before


@pytest.mark.parametrize(
    ("precision", "products"), [("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")]
)
def test_tf32_is_on_for_stages_of_that_precision_alone(precision: Any, products: str) -> None:
    with computing(CUDA, "tf32"), computing(CUDA, precision):
        found = switches()
        assert {found["matmul"], found["conv"], found["rnn"]} == {products}
        assert not found["algorithms"]


def test_switches_are_put_back_after_an_error() -> None:
    before = switches()

    def fail() -> None:
        with computing(CUDA, "tf32", deterministic=True):
            assert switches() != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert switches() == before


@pytest.mark.parametrize("device", [CPU, MPS])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_no_switch_moves_on_other_devices(device: torch.device, precision: Any) -> None:
    before = switches()
    with computing(device, precision, deterministic=True):
        found = switches()
    pooling = int(device == MPS)  # sides that do not divide are not pooled there by torch
    assert found == {**before, "modes": before["modes"] + pooling}
    assert os.environ[arithmetic.CUBLAS_VARIABLE] == ""


def test_a_deterministic_stage_uses_nothing_that_does_not_repeat_itself() -> None:
    with computing(CUDA, "fp32", deterministic=True):
        found = switches()
        assert found["deterministic"]
        assert found["algorithms"]
        assert not found["benchmark"]
        assert not found["warn"]
        assert os.environ[arithmetic.CUBLAS_VARIABLE] == ":4096:8"


def test_a_workspace_that_repeats_itself_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(arithmetic.CUBLAS_VARIABLE, ":16:8")
    arithmetic.prepare_repeating()
    assert os.environ[arithmetic.CUBLAS_VARIABLE] == ":16:8"


def test_cards_before_ampere_have_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uses_tf32(CUDA, "tf32")
    assert not precision_notes(CUDA, "A100", {"tf32", "fp32"})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not uses_tf32(CUDA, "tf32")
    (note,) = precision_notes(CUDA, "Tesla T4", {"tf32"})
    assert note == "precision tf32 is computed as fp32 on Tesla T4, which has no TF32"
    assert not precision_notes(CPU, "cpu", {"fp32", "bf16"})


@pytest.mark.parametrize(
    ("device", "precision", "form"),
    [
        (CPU, "fp32", "last"),
        (CPU, "tf32", "last"),
        (CPU, "bf16", "last"),
        (CUDA, "fp32", "contiguous"),
        (CUDA, "tf32", "last"),
        (CUDA, "bf16", "last"),
        (MPS, "fp32", "contiguous"),
        (MPS, "bf16", "contiguous"),
    ],
)
def test_memory_format_follows_device_and_precision(
    device: torch.device, precision: Any, form: str
) -> None:
    assert memory_format(device, precision) is FORMATS[form]


@pytest.mark.slow
def test_on_a_cpu_tf32_gives_the_bytes_of_fp32(tmp_path: Path) -> None:
    results = []
    for precision in ("fp32", "tf32"):
        bench = Bench(tmp_path / precision, settings_of({"precision": precision}, CONVNET))
        results.append((plain_records(bench.read(bench.train())), bench.digest()))
    assert results[0] == results[1]


@pytest.mark.slow
@pytest.mark.parametrize("augment", [None, {"steps": [{"name": "RandomHorizontalFlip"}]}])
def test_a_stage_computes_in_one_memory_format(
    augment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU in fp32, batches and weights are contiguous; rounding apart, it is the same."""
    seen: list[bool] = []
    convolved = functional.conv2d

    def watched(self: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.device.type != "meta":
            seen.append(inputs.is_contiguous() and self.weight.is_contiguous())
        return convolved(inputs, self.weight, self.bias, self.stride, self.padding)

    settings = settings_of({"augment": augment}, CONVNET)
    losses = []
    for form in FORMATS.values():
        bench = Bench(tmp_path / str(form), settings)
        for module in (engine, build, train):
            monkeypatch.setattr(module, "memory_format", lambda device, precision, f=form: f)
        monkeypatch.setattr(nn.Conv2d, "forward", watched)
        seen.clear()
        losses.append([record.step_losses for record in bench.read(bench.train())])
        assert set(seen) == {form is torch.contiguous_format}
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-3)


def test_a_layer_that_cannot_repeat_itself_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> None:
        raise RuntimeError(f"lp_pool_cuda {arithmetic.UNREPEATABLE}, but you set it")

    bench = Bench(tmp_path, settings_of())
    bench.do("prepare")
    monkeypatch.setattr(TrainingStep, "__call__", refuse)
    with pytest.raises(StageFailed, match=r"lp_pool_cuda cannot repeat itself .* --deterministic"):
        bench.do("train")


@pytest.mark.parametrize("size", [1, 3, (2, None), (5, 7), 8])
@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 3, 1, 1), (2, 3, 8, 12)])
def test_repeatable_pooling_is_that_of_torch(size: Any, pool: Any, shape: Any) -> None:
    images = [torch.randn(shape).relu_().requires_grad_() for _ in range(2)]
    images[1].data.copy_(images[0].data)
    theirs = pool(size)(images[0])
    gradient = torch.randn_like(theirs)
    theirs.backward(gradient)
    with SteadyPooling():
        ours = pool(size)(images[1])
        ours.backward(gradient)
    assert ours.grad_fn is None or "Adaptive" not in ours.grad_fn.name()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(images[1].grad, images[0].grad)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["alexnet", "vgg11"])
def test_training_repeats_itself_on_a_gpu(name: str) -> None:
    device = torch.device("cuda")
    settings = settings_of({"precision": "tf32", "batch_size": 8}, {"name": name})
    found = []
    for _ in range(3):
        with computing(device, "tf32", deterministic=True):
            network = build.build_network(settings, (3, 96, 96), 10, device)
            inputs = samples.in_format(
                torch.rand(8, 3, 96, 96, generator=torch.Generator().manual_seed(1)).to(device),
                memory_format(device, "tf32"),
            )
            torch.manual_seed(0)
            network(inputs).logsumexp(1).sum().backward()
            found.append([each.grad.cpu() for each in network.trainable()])
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))
