"""An analysis of a recorded run that is made now, whether or not a spec asks for it.

It is the stage that a plan would have, done by the same engine: what several need is shared, and a
later one goes on behind what was measured. Records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from runner.artifacts.cache import Cache
from runner.artifacts.lock import shared
from runner.bind.kept_run import KeptRun
from runner.bind.run_images import RunImages
from runner.bind.workspace import workspace
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.augmentations.augmentation import UnsuitableSize
from runner.components.component import canonical_settings
from runner.components.data.dataset import ImageSource
from runner.components.models.pretrained import weights_name
from runner.core.errors import UsageError
from runner.core.plan import DEFAULT_CACHE_LIMIT
from runner.core.records import AnalysisValue
from runner.core.run import ResolvedSettings
from runner.engine.inference.model import TrainedModel
from runner.lower.after_training import kept_analysis


def check_images(model: TrainedModel, images: RunImages, asked: AnalysisSettings) -> None:
    """Check that an analysis can be made of the images of a run, before any work.

    Raises:
        UsageError: when it cannot.
    """
    try:
        asked.check_size(model.shape[1:])
    except UnsuitableSize as error:
        raise UsageError(f"{asked.kind}: {error}", allowed=error.allowed) from None
    split = asked.looks_at()
    if split is not None and not images.may_lack:
        images.split(model.settings.data, split)


def analysed_now(
    kept: KeptRun,
    model: TrainedModel,
    images: RunImages,
    asked: AnalysisSettings,
    on_done: Callable[[int, int], None],
    on_note: Callable[[str], None],
) -> tuple[AnalysisValue, ...]:
    """Return the values of an analysis of images by the weights that a run keeps.

    Args:
        kept: the run, and where it is computed.
        model: its network, as the run gives it.
        images: of the run, likewise.
        asked: the analysis.
        on_done: hears how many images are done, of how many; what it raises ends the work.
        on_note: hears what a person should know.

    Raises:
        StageFailed: when it cannot be made.
        DataError: when the images cannot be prepared again.
    """
    from runner.engine.context import Context, Progress
    from runner.engine.data.pixels import forget_images
    from runner.engine.device import choose_device
    from runner.engine.engine import do_stage
    from runner.engine.job import StageJob
    from runner.engine.network.layout import count_multiply_adds, network_on_meta
    from runner.engine.numerics import begin_numerics, on_threads

    assert model.kept is not None, "the model is that of a recorded run"
    settings, file = model.settings, model.kept
    network = network_on_meta(settings.model, model.shape, len(model.classes))
    stage = kept_analysis(
        file.solo_key,
        asked,
        file.weights,
        model.epoch,
        ResolvedSettings(canonical_settings(settings), settings),
        images.key,
        count_multiply_adds(network, model.shape),
    )
    home = workspace(kept.db, kept.data)
    with home.open(create=False) as database:
        identity = database.identity()
    device = choose_device(kept.device)
    numerics = begin_numerics(device)

    def tell(progress: Progress) -> None:
        on_done(progress.done, progress.total)

    pretrained = weights_name(settings.model)
    context = Context(
        folder=home.folder,
        device=device,
        numerics=numerics.of(stage),
        database=identity,
        shared=home.shared(),
        sources=_Found(images),
        weights={pretrained: model.pretrained} if pretrained and model.pretrained else {},
        cache=Cache(home.folder, DEFAULT_CACHE_LIMIT, ()),
        checkpoint_seconds=0.0,  # nobody else keeps what is measured
        on_progress=tell,
        on_note=on_note,
    )
    job = StageJob(
        stage,
        attempt=0,
        store_epochs=lambda epochs: None,
        can_continue=lambda ranges: False,
        outcomes={},
        digest_of=lambda name: file.digest,
    )
    with shared(home.folder), on_threads(numerics.threads(stage)):
        try:
            outcome = do_stage(context, job)
        finally:
            context.writer.close()
            forget_images()
    return tuple(each for each in outcome.measured if isinstance(each, AnalysisValue))


class _Found(Mapping[str, ImageSource]):
    """The images of a run by the key of their pixels, looked for once they are needed."""

    def __init__(self, images: RunImages) -> None:
        self._images = images

    def __getitem__(self, key: str) -> ImageSource:
        if key != self._images.key or self._images.find is None:
            raise KeyError(key)
        return self._images.find()

    def __contains__(self, key: object) -> bool:
        return key == self._images.key

    def __iter__(self) -> Iterator[str]:
        return iter((self._images.key,))

    def __len__(self) -> int:
        return 1
