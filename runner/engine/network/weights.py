"""Pretrained weights: reads a file and matches it with a network.

Owns which tensors may be missing or left over. Files are read as tensors and nothing else: nothing
is unpickled that is no tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlparse

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from runner.artifacts.array_folder import is_whole
from runner.artifacts.hashes import file_digest
from runner.components.component import canonical_settings
from runner.components.models.classifier import UnknownLayer
from runner.components.models.pretrained import Pretrainable, WeightsFile
from runner.components.models.timm_model import TimmModel
from runner.components.models.torchvision_model import TorchvisionModel

SHOWN = 6


class WeightsMismatch(ValueError):
    """Weights that cannot be read, or do not match the network.

    Attributes:
        allowed: what would be right, or "".
        hint: what to do about it, or "".
    """

    def __init__(self, found: str, *, allowed: str = "", hint: str = "") -> None:
        super().__init__(found)
        self.allowed = allowed
        self.hint = hint


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """Weights that torchvision's authors publish.

    Attributes:
        url: where they are.
        path: where torch keeps them on this machine.
        sha256: the first digits of the file's SHA-256.
        num_bytes: size of the file, as published, in bytes.
    """

    url: str
    path: Path
    sha256: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class WeightMatch:
    """Which tensors of a network come from a file of weights.

    Attributes:
        loaded: names of the tensors that are taken from the file.
        fresh: names of those that are initialised.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]


def public_weights(model: str, weights: str) -> PublicWeights:
    """Return where torchvision's weights of that name are.

    Raises:
        WeightsMismatch: when the model has none of that name.
    """
    enum = torchvision.models.get_model_weights(model)
    if weights not in enum.__members__:
        names = ", ".join(name for name in enum.__members__ if name != "DEFAULT")
        hint = "" if names else f"torchvision has no weights for {model}"
        raise WeightsMismatch(f"{model} has no weights {weights}", allowed=names, hint=hint)
    chosen = enum[weights]
    name = Path(urlparse(chosen.url).path).name
    digits = Path(name).stem.rpartition("-")[2]
    return PublicWeights(
        url=chosen.url,
        path=Path(torch.hub.get_dir()) / "checkpoints" / name,
        sha256=digits,
        num_bytes=round(chosen.meta["_file_size"] * (1 << 20)),
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the named tensors in a .safetensors or torch file, floating ones as float32.

    Tensors that hold no numbers count as missing: torchvision fills with them what its weights of
    VGG16's convolutional part alone lack.

    Raises:
        WeightsMismatch: when it is no such file.
        OSError: when it cannot be read.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except OSError:
        raise
    except Exception:
        # torch's reader raises whatever a damaged or foreign file leads it into
        kind = "safetensors file" if path.suffix == ".safetensors" else "torch file of tensors"
        raise WeightsMismatch(f"{path} cannot be read as weights: it is no {kind}") from None
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise WeightsMismatch(f"{path} holds other things than named tensors (a state_dict)")
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in content.items()
        if not (tensor.is_floating_point() and not tensor.isfinite().all())
    }


def check_file(settings: Pretrainable, path: Path) -> None:
    """Verify the checksum of a file of weights; it is read once for each state of the file.

    Raises:
        WeightsMismatch: when it is another file, or gone.
    """
    given = settings.given_weights()
    if isinstance(given, WeightsFile):
        digits = given.sha256
    elif isinstance(settings, TimmModel):
        digits = settings.published().digest_of(path)
    else:
        assert isinstance(settings, TorchvisionModel)
        digits = public_weights(settings.name, str(given)).sha256
    try:
        is_same = is_whole(path, digits, lambda file: file_digest(file)[: len(digits)])
    except FileNotFoundError:
        is_same = False
    if not is_same:
        raise WeightsMismatch(
            f"{path} is gone, or no longer the file whose SHA-256 begins with {digits[:8]}"
        )


def _read_torch(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def match_weights(
    settings: Pretrainable, network: nn.Module, tensors: Mapping[str, Tensor]
) -> WeightMatch:
    """Match the tensors of a file with the network that the settings describe.

    The last layer, and a new head, are fresh where their sizes differ from the file's. Other
    tensors must match, or be among those that the spec allows to be missing.

    Raises:
        WeightsMismatch: for tensors that are missing, unknown or of another shape.
        UnknownLayer: for a pattern in ``missing`` that no layer has.
    """
    state = network.state_dict()
    missing = _may_be_missing(settings, state)
    is_new = settings.has_new_head()
    free = _head_names(state) if is_new else settings.last_layer()
    lacking: list[str] = []
    unlike: list[str] = []
    fresh: list[str] = []
    for name, tensor in state.items():
        if name in tensors and _is_like(tensors[name], tensor):
            continue
        fresh.append(name)
        if is_new and name in free:
            continue
        if name in tensors and name not in free:
            unlike.append(f"{name} {_described(tensors[name])} for {_described(tensor)}")
        elif name not in tensors and name not in missing and not is_counter(name):
            lacking.append(name)
    known = set(state) | settings.left_out()
    left_over = [name for name in tensors if name not in known]
    _refuse(settings, lacking, unlike, left_over)
    return WeightMatch(tuple(name for name in state if name not in fresh), tuple(fresh))


def _may_be_missing(settings: Pretrainable, state: Mapping[str, Tensor]) -> set[str]:
    found: set[str] = set()
    for pattern in settings.may_be_missing():
        matching = {name for name in state if _matches(name, pattern)}
        if not matching:
            layers = dict.fromkeys(name.rpartition(".")[0] for name in state)
            outer = dict.fromkeys(name.partition(".")[0] for name in state)
            raise UnknownLayer("weights.missing", pattern, [*outer, *layers])
        found |= matching
    return found


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _head_names(state: Mapping[str, Tensor]) -> frozenset[str]:
    return frozenset(name for name in state if name.startswith("head."))


def is_counter(name: str) -> bool:
    """Return whether a tensor counts batches only, which files of old torch versions lack."""
    return name.endswith("num_batches_tracked")


def _refuse(
    settings: Pretrainable, lacking: list[str], unlike: list[str], left_over: list[str]
) -> None:
    name = canonical_settings(settings)["name"]
    if lacking:
        layers = list(dict.fromkeys(name.partition(".")[0] for name in lacking))
        raise WeightsMismatch(
            f"the weights lack {len(lacking)} tensors of {name}: {_listed(lacking)}",
            hint=f"to initialise them instead, write missing: [{', '.join(layers)}]",
        )
    if unlike:
        raise WeightsMismatch(
            f"{len(unlike)} tensors are not like {name}'s: {_listed(unlike)}",
            hint=settings.where_unlike(),
        )
    if left_over:
        raise WeightsMismatch(
            f"the weights hold {len(left_over)} tensors that {name} lacks: {_listed(left_over)}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names) - SHOWN} more)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _is_like(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and found.dtype == wanted.dtype


def _described(tensor: Tensor) -> str:
    shape = "×".join(str(side) for side in tensor.shape) or "a number"
    plain = tensor.dtype in (torch.float32, torch.int64)
    return shape if plain else f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"
