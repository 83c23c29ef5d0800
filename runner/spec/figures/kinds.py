"""The kinds of figures and their settings, as `figures` of a spec and `runner plot` take them.

To add one: a class here and in the union; its drawing is a line in ``runner/report/figures/
kinds.py``. Knows no drawing, no cell.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.component import NamedComponent

Per = Literal["step", "epoch"]
At = Literal["best", "last", "min", "max"] | Annotated[int, Field(ge=1, le=1_000_000)]
Formula = Annotated[str, Field(min_length=1, max_length=1000)]
MAX_METRICS = 20
MAX_IMAGES = 20
MAX_SHEET = 120
PredictionsPage = Literal["confusion", "right", "wrong"]


class FigureSettings(NamedComponent):
    """A figure shows recorded runs, or what an analysis found of them."""

    ANALYSIS: ClassVar[str] = ""
    """The name of the analysis that it draws, "" for figures of runs."""

    about: str = Field("", max_length=2000, description="its caption in a report")
    only: dict[str, Any] | None = Field(
        None, description="which cells: a value, or a list of them, by label or setting"
    )

    @property
    def kind(self) -> str:
        """The name by which a spec chooses it."""
        return self.name


class WithLosses(FigureSettings):
    """A figure with losses, by epoch or by step."""

    per: Per = Field("epoch", description="whether losses are drawn by step or by epoch")
    smooth: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="steps whose losses are averaged into one point; about 150 points when not"
        " given",
    )

    @model_validator(mode="after")
    def _smooth_is_of_steps(self) -> Self:
        if self.smooth is not None and self.per != "step":
            raise ValueError("smooth averages the losses of steps; give per: step as well")
        return self


class Sheet(WithLosses):
    """Loss above accuracy by epoch, in panels of its own for each cell."""

    name: Literal["sheet"]


class LossFigure(WithLosses):
    """The loss of all cells in one panel; more than eight in a panel each."""

    name: Literal["loss"]


class AccuracyFigure(FigureSettings):
    """The accuracy of all cells in one panel; more than eight in a panel each."""

    name: Literal["accuracy"]


class Curves(WithLosses):
    """Loss and accuracy side by side."""

    name: Literal["curves"]


class SettingFigure(FigureSettings):
    """Metrics against a setting, with the numbers of tables."""

    name: Literal["setting"]
    x: str | None = Field(
        None, description="the setting or label on the x axis; the only one that varies by default"
    )
    metrics: tuple[Formula, ...] = Field(
        (),
        max_length=MAX_METRICS,
        description="metrics or formulas; accuracies and their gap when not given",
    )
    at: At = Field("best", description="the epoch of the metrics, as in tables")


class AugmentationsFigure(FigureSettings):
    """Training images beside what `train.augment` makes of them; needs the data and no runs."""

    name: Literal["augmentations"]
    images: int = Field(3, ge=1, le=MAX_IMAGES, description="how many of a data set")


class OfAnalysis(FigureSettings):
    """What an analysis of the spec found."""

    analysis: str | None = Field(
        None, description="its name in `analyses`; the only one of its kind when not given"
    )


class FiltersFigure(OfAnalysis):
    """The filters of the first convolution before and after training, a page for each cell."""

    ANALYSIS: ClassVar[str] = "filters"

    name: Literal["filters"]


class NeuronsFigure(OfAnalysis):
    """The weights of neurons as images, a page for each cell."""

    ANALYSIS: ClassVar[str] = "neurons"

    name: Literal["neurons"]


class SaliencyFigure(OfAnalysis):
    """Images beside what moves the score of a class, a page for each cell and method."""

    ANALYSIS: ClassVar[str] = "saliency"

    name: Literal["saliency"]


class EmbeddingFigure(OfAnalysis):
    """Images as points, by what a layer makes of them, a page for each cell."""

    ANALYSIS: ClassVar[str] = "embedding"

    name: Literal["embedding"]


class PredictionsFigure(OfAnalysis):
    """The confusion matrix, and the images that are predicted right and wrong most confidently."""

    ANALYSIS: ClassVar[str] = "predictions"

    name: Literal["predictions"]
    show: tuple[PredictionsPage, ...] = Field(
        ("confusion", "right", "wrong"), min_length=1, max_length=3, description="which pages"
    )
    count: int = Field(12, ge=1, le=MAX_SHEET, description="images on a page of right or wrong")


class RobustnessFigure(OfAnalysis):
    """Accuracy against the severity of what is done to the images, a line for each transform."""

    ANALYSIS: ClassVar[str] = "robustness"

    name: Literal["robustness"]
    metrics: tuple[Literal["accuracy", "loss"], ...] = Field(
        ("accuracy",), min_length=1, max_length=2, description="what is drawn, in panels each"
    )


FigureKind = Annotated[
    Sheet
    | LossFigure
    | AccuracyFigure
    | Curves
    | SettingFigure
    | AugmentationsFigure
    | FiltersFigure
    | NeuronsFigure
    | SaliencyFigure
    | EmbeddingFigure
    | PredictionsFigure
    | RobustnessFigure,
    Field(discriminator="name"),
]
