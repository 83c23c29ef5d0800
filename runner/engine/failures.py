"""What is told of a stage that failed in torch: out of memory, with what was tried, and the like.

Owns how torch's errors are told apart. Decides nothing of what comes next.
"""

from __future__ import annotations

import json

import torch

from runner.artifacts.folder import INDEX
from runner.components.own.loading import failed, is_of_own_code
from runner.components.resolved import typed_settings
from runner.core.artifacts import pixels_name
from runner.core.errors import OutOfMemory, StageFailed
from runner.core.stages import Analyse, Evaluate, ExtractFeatures, Train
from runner.engine.arithmetic import UNREPEATABLE
from runner.engine.context import Context

OnImages = ExtractFeatures | Train | Evaluate | Analyse


def as_failure(context: Context, stage: OnImages, error: Exception) -> Exception:
    """Return what is told of an error of a stage: most are told as they are.

    Memory on a GPU that the stage no longer holds is given back where there was too little.
    """
    if is_out_of_memory(error):
        let_go(context, error)
        return OutOfMemory(out_of_memory(context, stage, error))
    if isinstance(error, RuntimeError) and UNREPEATABLE in str(error):
        return StageFailed(_unrepeatable(error))
    if is_of_own_code(error):
        return StageFailed(failed("own code raised an error", error).found)
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a device or the host had too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    is_told = "can't allocate memory" in text or "out of memory" in text
    return is_told and isinstance(error, RuntimeError)


def let_go(context: Context, error: BaseException) -> None:
    """Free what an error's frames hold, and give unused memory of a GPU back."""
    error.__traceback__ = None
    if context.device.type != "cpu":
        torch.get_device_module(context.device).empty_cache()


def out_of_memory(context: Context, stage: OnImages, error: BaseException) -> str:
    """Return in words what was tried when there was too little memory."""
    if isinstance(stage, Analyse) and stage.image_shape is not None:
        channels, height, width = stage.image_shape
    else:
        folder = context.artifact_path(pixels_name(stage.pixels_key))
        _, height, width, channels = json.loads((folder / INDEX).read_text())["shape"]
    tried = f"batch_size {typed_settings(stage.settings).train.batch_size}"
    if isinstance(stage, Analyse):
        tried = f"the analysis {stage.name}"
    said = str(error).strip().splitlines()
    return (
        f"out of memory with {tried} of {channels}×{height}×{width} images on {context.device}:"
        f" {said[0] if said else 'no memory'}"
    )


def _unrepeatable(error: BaseException) -> str:
    operation, _, _ = str(error).partition(UNREPEATABLE)
    return (
        f"{operation.strip()} cannot repeat itself to the byte on this device: a network that"
        " needs it runs without --deterministic only, and cannot be verified here"
    )
