"""Files of tensors: byte for byte what safetensors writes, digested while they are written."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from runner.engine.network import tensors as module
from runner.engine.network.tensors import TYPES, tensors_digest, write_tensors, write_weights


def drawn(dtype: torch.dtype, *shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(len(shape))
    return (100 * torch.rand(shape, generator=draw)).to(dtype)


EVERY_TYPE = {f"{place % 3}.{dtype}": drawn(dtype, 3, place) for place, dtype in enumerate(TYPES)}
LIKE_A_STATE = {
    "network.0.weight": drawn(torch.float32, 4, 3, 5, 5),
    "network.0.bias": drawn(torch.float32, 4),
    "network.1.num_batches_tracked": torch.tensor(7),
    "optimizer.10.step": torch.tensor(3.0),
    "optimizer.9.step": torch.tensor(3.0),
}
CASES = {
    "every type": EVERY_TYPE,
    "a state": LIKE_A_STATE,
    "odd names": {'"\\é\n\x01\x7f\u2028': drawn(torch.float32, 1), "": drawn(torch.float32, 0)},
    "nothing": {},
}


@pytest.mark.parametrize("case", CASES)
def test_file_of_tensors_is_what_safetensors_writes(case: str, tmp_path: Path) -> None:
    tensors, ours, theirs = CASES[case], tmp_path / "ours", tmp_path / "theirs"
    save_file(dict(tensors), theirs)
    digest = write_tensors(ours, dict(reversed(tensors.items())))
    assert ours.read_bytes() == theirs.read_bytes()
    assert digest == hashlib.sha256(theirs.read_bytes()).hexdigest()
    assert write_weights(ours, tensors) == tensors_digest(tensors)
    assert ours.read_bytes() == theirs.read_bytes()


def test_tensors_that_do_not_lie_in_order_are_written_in_order(tmp_path: Path) -> None:
    first = drawn(torch.float32, 4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    tensors = {"first": first, "part": drawn(torch.bfloat16, 6, 4).t()[::2], "all": first[1:]}
    save_file({name: each.contiguous() for name, each in tensors.items()}, tmp_path / "theirs")
    assert write_weights(tmp_path / "ours", tensors) == tensors_digest(tensors)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("write", [write_tensors, write_weights])
def test_large_tensor_is_written_in_pieces_without_a_copy(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {"a": drawn(torch.float32, 1000), "b": torch.tensor(1)}
    monkeypatch.setattr(module, "CHUNK_BYTES", 1001)
    write(tmp_path / "file", tensors)
    assert torch.equal(load_file(tmp_path / "file")["a"], tensors["a"])
    lies_at = torch.frombuffer(module._bytes(tensors["a"]), dtype=torch.float32).data_ptr()
    assert lies_at == tensors["a"].data_ptr()


def test_digest_of_weights_is_known() -> None:
    """Databases hold such digests."""
    digest = "704ea0a796b406fc80dae8fc88b64be08f324dae552b4bcfb718335f489dbc60"
    weights = {"b": torch.tensor([1.0, -2.0]), "a": torch.tensor([[3]])}
    assert tensors_digest(weights) == digest
