"""Files of pretrained weights: found, checked, fetched when they are torchvision's.

Owns where they are looked for, their checksums, and the file:line problems of both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.artifacts.hashes import file_digest
from runner.bind.positions import network_problems, problem_at, written_node
from runner.components.data.dataset import DataAccess
from runner.components.download import Checksum, OnProgress, download
from runner.components.models.hub_weights import commit_of
from runner.components.models.pretrained import Pretrainable, WeightsFile
from runner.components.models.timm_model import Revision, TimmModel
from runner.components.models.torchvision_model import TorchvisionModel
from runner.core.errors import Problem, UsageError
from runner.spec.cells import ResolvedCell

if TYPE_CHECKING:
    from runner.engine.network.weights import PublicWeights

CHECKSUM = "model.weights.sha256"
HOW_TO_FIND = "put it under RUNNER_DATA, ./data, the current folder or the spec's folder"
HOW_TO_GET = "put it under --data (RUNNER_DATA), ./data, the current folder or the spec's folder"


class MissingWeights(Exception):
    """Weights are not on this machine, and cannot or must not be fetched now.

    Attributes:
        problem: what is missing, and what to do about it.
        name: of the file that `run` would fetch, "" where it cannot.
        num_bytes: what fetching it takes.
    """

    def __init__(self, problem: Problem, name: str = "", num_bytes: int = 0) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.name = name
        self.num_bytes = num_bytes


def find_weights(
    resolved: ResolvedCell, access: DataAccess, on_progress: OnProgress | None
) -> Path | None:
    """Return the file of a cell's pretrained weights, or None when it has none.

    Args:
        resolved: the cell.
        access: finds and hashes files.
        on_progress: hears of the download of torchvision's; None where nothing may be downloaded.

    Raises:
        SpecError: when a file has another checksum, or the model has no such weights.
        MissingWeights: when a file is not there, and is not fetched.
        DownloadFailed: when they cannot be fetched.
    """
    model = resolved.settings.model
    given = model.given_weights() if isinstance(model, Pretrainable) else None
    if isinstance(given, WeightsFile):
        return _local(resolved, given, access)
    if given and isinstance(model, TorchvisionModel):
        return _public(resolved, model, str(given), access, on_progress)
    if given and isinstance(model, TimmModel):
        return _of_timm(resolved, model, access, on_progress)
    return None


def find_recorded(model: Pretrainable, access: DataAccess) -> Path:
    """Return the file of pretrained weights of a recorded run; nothing is fetched.

    Its checksum is left to whoever reads it.

    Args:
        model: with weights.
        access: finds files.

    Raises:
        UsageError: when it is not there.
    """
    from runner.engine.network.weights import public_weights

    given = model.given_weights()
    if isinstance(given, WeightsFile):
        candidates, how = _candidate_paths(given.file, access), HOW_TO_FIND
    elif isinstance(model, TimmModel):
        file = model.published()
        if (kept := file.kept()) is not None:
            return kept
        candidates = [Path(file.title)]
        how = f"`runner run` of a spec with these weights fetches them from {file.url}"
    else:
        assert isinstance(model, TorchvisionModel)
        public = public_weights(model.name, str(given))
        candidates, how = [public.path], f"put there what {public.url} holds"
    path = next((each for each in candidates if os.path.isfile(each)), None)
    if path is None:
        looked = ", ".join(map(str, candidates))
        raise UsageError(
            f"the pretrained weights of the run's frozen layers are gone\n    looked for: {looked}",
            hint=how,
        )
    return path


def with_checksum(problem: Problem, find_access: Callable[[], DataAccess]) -> Problem:
    """Return a problem of weights without their SHA-256, with the one that the file has.

    It is for the reader to compare and to write down; any other problem is returned as it is.

    Args:
        problem: of a spec.
        find_access: finds files; not called for other problems, as of a spec that
            cannot be read.
    """
    subject = problem.subject
    file = subject.beside.get("file") if subject is not None else None
    if subject is None or subject.path != CHECKSUM or not isinstance(file, str):
        return problem
    try:
        candidates = _candidate_paths(file, find_access())
        path = next((each for each in candidates if os.path.isfile(each)), None)
        digest = "" if path is None else file_digest(path)
    except (OSError, RuntimeError, ValueError):
        return problem
    if not digest:
        return problem
    found = f"{problem.found}; {path} is there"
    return replace(problem, found=found, suggestion=f"sha256: {digest}")


def _local(resolved: ResolvedCell, weights: WeightsFile, access: DataAccess) -> Path:
    candidates = _candidates(resolved, weights, access)
    path = next((each for each in candidates if os.path.isfile(each)), None)
    if path is None:
        looked = ", ".join(str(each) for each in candidates)
        found = f"no file {weights.file}\n    looked for: {looked}"
        position = written_node(resolved.tree, "model.weights.file").position
        raise MissingWeights(Problem(position, found, hint=HOW_TO_GET))
    digest = _digest(resolved, path, access)
    if digest != weights.sha256:
        found = f"{path} has another SHA-256 than the one given\n    it has: {digest}"
        hint = "take the file that was meant, or write the SHA-256 of this one"
        raise problem_at(resolved, "model.weights.sha256", found, hint=hint)
    return path


def _not_fetched(resolved: ResolvedCell, public: PublicWeights) -> Problem:
    found = f"missing weights {public.path.name}\n    looked for: {public.path}"
    hint = f"`runner run` without --no-download fetches {public.url}"
    return Problem(written_node(resolved.tree, "model.weights").position, found, hint=hint)


def _candidates(resolved: ResolvedCell, weights: WeightsFile, access: DataAccess) -> list[Path]:
    """Return where a file may lie.

    Raises:
        SpecError: for a home folder that there is not.
    """
    try:
        return _candidate_paths(weights.file, access)
    except RuntimeError as error:
        raise problem_at(resolved, "model.weights.file", f"{weights.file}: {error}") from None


def _candidate_paths(file: str, access: DataAccess) -> list[Path]:
    given = Path(file).expanduser()
    return [given] if given.is_absolute() else [root / given for root in access.roots]


def _digest(resolved: ResolvedCell, path: Path, access: DataAccess) -> str:
    try:
        (digest,) = access.hash_files(path.parent, [path.name])
    except OSError as error:
        raise problem_at(resolved, "model.weights", f"{path} cannot be read: {error}") from None
    return digest


def _public(
    resolved: ResolvedCell,
    model: TorchvisionModel,
    weights: str,
    access: DataAccess,
    on_progress: OnProgress | None,
) -> Path:
    from runner.engine.network.weights import WeightsMismatch, public_weights

    try:
        public = public_weights(model.name, weights)
    except WeightsMismatch as error:
        raise problem_at(
            resolved, "model.weights", str(error), error.allowed, hint=error.hint
        ) from None
    checksum = Checksum("sha256", public.sha256)
    if not public.path.is_file():
        if on_progress is None:
            raise MissingWeights(_not_fetched(resolved, public), public.path.name, public.num_bytes)
        download(public.url, public.path, checksum, on_progress)
    digest = _digest(resolved, public.path, access)
    if not checksum.matches(digest):
        found = f"{public.path} is not what {public.url} holds: its SHA-256 is {digest}"
        allowed = f"one that begins with {public.sha256}"
        hint = "remove the file, and it is fetched again"
        raise problem_at(resolved, "model.weights", found, allowed, hint=hint)
    return public.path


def _of_timm(
    resolved: ResolvedCell, model: TimmModel, access: DataAccess, on_progress: OnProgress | None
) -> Path:
    with network_problems(resolved):
        file = model.published()
    path = file.kept()
    if path is None:
        if on_progress is None:
            found = f"missing weights {file.title}, which are not in the Hugging Face Hub's cache"
            hint = f"`runner run` without --no-download fetches {file.url}"
            position = written_node(resolved.tree, "model.pretrained").position
            raise MissingWeights(Problem(position, found, hint=hint), file.title)
        path = file.fetch(on_progress)
    digest, wanted = _digest(resolved, path, access), file.digest_of(path)
    if wanted and digest != wanted:
        found = f"{path} is not what {file.url} holds: its SHA-256 is {digest}"
        hint = "" if file.sha256 else "remove the file, and it is fetched again"
        where = "model.pretrained.sha256"
        raise problem_at(resolved, where, found, wanted, hint=hint)
    return path


def pinned(resolved: ResolvedCell, path: Path | None, access: DataAccess) -> ResolvedCell:
    """Return a cell whose settings say which of timm's published weights it takes, for good.

    Those that a name stands for today may be others tomorrow: a run has commit and SHA-256 among
    its settings, so that nothing that is made from it later takes others.

    Args:
        resolved: the cell.
        path: the file of its weights, None without or where it is not there.
        access: hashes files.
    """
    settings = resolved.settings
    model = settings.model
    if path is None or not isinstance(model, TimmModel) or model.pretrained is not True:
        return resolved
    revision = Revision(revision=commit_of(path), sha256=_digest(resolved, path, access))
    model = model.model_copy(update={"pretrained": revision})
    return replace(resolved, settings=settings.model_copy(update={"model": model}))


def how_to_pin(written: ResolvedCell, bound: ResolvedCell) -> tuple[str, ...]:
    """Return what to write for the weights that a cell takes, where it does not say it for good."""
    model = bound.settings.model
    if written.settings.model is model or not isinstance(model, TimmModel):
        return ()
    assert isinstance(model.pretrained, Revision)
    revision, sha256 = model.pretrained.revision, model.pretrained.sha256
    for_good = f'pretrained: {{revision: "{revision}", sha256: "{sha256}"}}'
    return (f"{model.name} takes the newest weights in the cache; these for good are {for_good}",)
