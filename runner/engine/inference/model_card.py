"""The model card beside an exported file: what it is, what it takes, and how good it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from runner.components.component import canonical_settings
from runner.core.errors import UsageError
from runner.core.text import printable
from runner.engine.inference.model import TrainedModel

SHOWN_CLASSES = 1000
MARK = "Image classifier: "
"""How the text of a card begins, below its title."""

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")
"""Characters that mean something in Markdown."""


def refuse_other_text(card: Path) -> None:
    """Refuse to replace a file that is no model card.

    Raises:
        UsageError: when something else lies there.
    """
    try:
        with card.open("rb") as file:
            head = file.read(1 << 12)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{card} cannot be read: {error.strerror}") from None
    if not re.match(rb"# [^\n]*\n\n" + MARK.encode(), head):
        raise UsageError(
            f"{card}, where the model card is put, is there and no model card",
            hint="move it, or give another --out",
        )


def model_card(model: TrainedModel, file: str, about: str, example: str, compared: str) -> str:
    """Return the card, in Markdown.

    Args:
        model: the network.
        file: name of the exported file.
        about: its format, in words.
        example: Python that reads it.
        compared: how it compares with the run's network, in words.
    """
    settings = canonical_settings(model.settings)
    channels, height, width = model.shape
    parts = [
        f"# {escaped(file)}",
        f"{MARK}{settings['model']['name']}, {len(model.classes)} classes, trained on"
        f" {settings['data']['dataset']}. Run {model.run_key}, weights of epoch {model.epoch}."
        f" The file is {about}.",
        "## Input and output",
        f"`images`: float32, batch × {channels} × {height} × {width}, any batch size, prepared as"
        f" follows. `logits`: float32, batch × {len(model.outputs)}, in the order of the"
        " names below; their softmax are probabilities.",
        _table(model.preprocessing()),
        "```python\n" + example + "\n```",
        "## How good it is",
        _measured(model),
        compared,
        "## Classes",
        _classes(model),
        "## How it was made",
        f"`{model.command}`" if model.command else "",
        "```json\n" + json.dumps(settings, indent=2, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Return text as Markdown that shows it as it is, in one line."""
    return MARKDOWN.sub(r"\\\1", printable(text))


def _table(values: dict[str, Any]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in values.items() if name != "input"]
    return "\n".join(["| step | how |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _measured(model: TrainedModel) -> str:
    if not model.about:
        return ""
    rows = [f"| {name} | {value:.4g} |" for name, value in model.about.items()]
    text = "\n".join(["| measure | value |", "| --- | ---: |", *rows])
    precision = model.settings.train.precision
    if precision == "fp32":
        return text
    return f"{text}\n\nMeasured in {precision}; the file computes in fp32, and may differ a little."


def _classes(model: TrainedModel) -> str:
    names = model.outputs
    lines = [f"{label}. {escaped(name)}" for label, name in enumerate(names[:SHOWN_CLASSES])]
    more = len(names) - SHOWN_CLASSES
    return "\n".join(
        [*lines, *([f"… and {more} more, in the file's metadata"] if more > 0 else [])]
    )
