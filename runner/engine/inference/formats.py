"""Formats of exported networks: how each is written, and what a file of it computes when read.

To add one: a class, and an entry in FORMATS. Networks come in fp32, in evaluation mode, on the CPU,
and take normalised images; whatever else a reader needs is in the metadata. Compares nothing.
"""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from runner.core.errors import StageFailed, UsageError
from runner.engine.inference.model import TrainedModel
from runner.engine.network.build import build_network
from runner.engine.network.layout import count_parameters

INPUT, OUTPUT = "images", "logits"
EXTRA = "runner.json"
"""Name of the metadata within a .pt2 file."""

ONNX_BYTES = (1 << 31) - (1 << 20)
"""Of weights; an ONNX file holds at most 2 GB."""

EXAMPLES = 2
"""Images with which a network is traced: of one image, torch would make a constant."""

Metadata = Mapping[str, str]


class ExportFormat(ABC):
    """A format.

    Attributes:
        name: as ``--format`` takes it, and suffix of its files.
        about: what it is, for people.
        needs: packages that it takes beyond the program's own.
        example: Python that reads a file, with ``{path}`` in it, which is quoted.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[str]

    def check(self, module: nn.Module | None = None) -> None:
        """Refuse what this format cannot do, before any work.

        Args:
            module: the network, once it is there.

        Raises:
            UsageError: when packages are missing, or the network is too large.
        """
        missing = [name for name in self.needs if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"format {self.name} needs {', '.join(self.needs)};"
                f" not installed: {', '.join(missing)}",
                hint="pip install 'runner[export]'",
            )

    @abstractmethod
    def write(self, path: Path, module: nn.Module, model: TrainedModel, metadata: Metadata) -> None:
        """Write a network to a file.

        Raises:
            StageFailed: when this network cannot be written so.
            OSError: when the disk is full.
        """

    @abstractmethod
    def logits(self, path: Path, model: TrainedModel, images: Tensor) -> Tensor:
        """Return what a file computes for normalised images (B, C, H, W), of whatever B."""


class SafetensorsFormat(ExportFormat):
    """All weights and buffers by name."""

    name = "safetensors"
    about = "all weights and buffers by name; the network itself is built by this program"
    example = """\
from safetensors import safe_open

with safe_open({path}, "pt") as file:
    metadata = file.metadata()
    weights = {{name: file.get_tensor(name) for name in file.keys()}}"""

    def write(self, path: Path, module: nn.Module, model: TrainedModel, metadata: Metadata) -> None:
        """Write all tensors of the network's state."""
        from safetensors.torch import save_file

        state = {name: tensor.contiguous().clone() for name, tensor in module.state_dict().items()}
        path.touch()
        mode = path.stat().st_mode  # the library lets nobody else read
        save_file(state, path, dict(metadata))
        path.chmod(mode)

    def logits(self, path: Path, model: TrainedModel, images: Tensor) -> Tensor:
        """Return what the network of the run computes with the file's weights."""
        from safetensors.torch import load_file

        tensors = load_file(path)
        cpu = torch.device("cpu")
        classes = len(model.classes)
        built = build_network(model.settings, model.shape, classes, cpu, None, tensors.keys())
        built.module.load_state_dict(tensors)
        built.eval()
        found: Tensor = built.module(images)
        return found


class TorchExportFormat(ExportFormat):
    """torch.export's program."""

    name = "pt2"
    about = "torch.export's program: network and weights, for torch without this program"
    example = """\
import torch

metadata = {{"runner.json": ""}}
network = torch.export.load({path}, extra_files=metadata).module()
logits = network(images)"""

    def write(self, path: Path, module: nn.Module, model: TrainedModel, metadata: Metadata) -> None:
        """Trace the network and write the program."""
        program = _traced(module, model)
        buffer = io.BytesIO()  # torch ends the whole process when it meets a full disk
        torch.export.save(program, buffer, extra_files={EXTRA: json.dumps(dict(metadata))})
        path.write_bytes(buffer.getbuffer())

    def logits(self, path: Path, model: TrainedModel, images: Tensor) -> Tensor:
        """Return what the program computes."""
        with path.open("rb") as file:
            found: Tensor = torch.export.load(file).module()(images)
        return found


class OnnxFormat(ExportFormat):
    """ONNX."""

    name = "onnx"
    about = "ONNX: network and weights, for ONNX Runtime and many other programs"
    needs = ("onnx", "onnxscript", "onnxruntime")
    example = """\
import onnxruntime

session = onnxruntime.InferenceSession({path})
metadata = session.get_modelmeta().custom_metadata_map
(logits,) = session.run(["logits"], {{"images": images}})"""

    def check(self, module: nn.Module | None = None) -> None:
        """Refuse missing packages and networks that do not fit into a file."""
        super().check(module)
        if module is not None and count_parameters(module) * 4 > ONNX_BYTES:
            raise UsageError(
                f"an ONNX file holds at most 2 GB, and the network has {count_parameters(module):,}"
                " parameters",
                allowed="safetensors, pt2",
            )

    def write(self, path: Path, module: nn.Module, model: TrainedModel, metadata: Metadata) -> None:
        """Trace the network, translate it and write the file."""
        import onnx

        program = _traced(module, model)
        try:
            translated = torch.onnx.export(
                program,
                dynamo=True,
                dynamic_shapes=_shapes(),  # for the name of the batch's size
                input_names=[INPUT],
                output_names=[OUTPUT],
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise StageFailed(f"the network cannot be written as ONNX: {_first(error)}") from None
        assert translated is not None
        proto = translated.model_proto
        onnx.helper.set_model_props(proto, dict(metadata))
        onnx.save_model(proto, path)

    def logits(self, path: Path, model: TrainedModel, images: Tensor) -> Tensor:
        """Return what ONNX Runtime computes on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(found)


def _traced(module: nn.Module, model: TrainedModel) -> torch.export.ExportedProgram:
    """Return a network as a program that takes batches of any size.

    Raises:
        StageFailed: when it has none.
    """
    example = torch.zeros(EXAMPLES, *model.shape)
    try:
        return torch.export.export(module, (example,), dynamic_shapes=_shapes())
    except Exception as error:  # whatever the compiler meets in a network
        raise StageFailed(
            f"torch.export cannot trace the network: {_first(error)}",
            hint="--format safetensors needs no tracing",
        ) from None


def _shapes() -> tuple[dict[int, Any]]:
    """Return which sizes of the input may be any."""
    return ({0: torch.export.Dim("batch", min=1)},)


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


_ALL: tuple[ExportFormat, ...] = (SafetensorsFormat(), OnnxFormat(), TorchExportFormat())
FORMATS = {each.name: each for each in _ALL}
