"""Events as TensorBoard reads them: numbers, texts, pictures, settings, and how a run ended.

The package `tensorboard` is imported where one is made.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from runner.report.tables.markup import markdown_text
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tracker import TrackedRun

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary


def scalar(tag: str, value: float, step: int, moment: float) -> Event:
    """Return a number of a series; the moment is in seconds since 1970 (UTC)."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return Event(wall_time=moment, step=step, summary=summary)


def text(name: str, content: str, step: int) -> Event:
    """Return a text, which is Markdown, of this moment."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time(), step=step, summary=_text_summary({name: content}))


def image(name: str, picture: TrackedPicture, step: int) -> Event:
    """Return a picture, a PNG file, at the moment when it was written."""
    from PIL import Image
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    path = picture.path
    with Image.open(path) as opened:
        width, height = opened.size
        channels = len(opened.getbands())
    shown = Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=path.read_bytes()
    )
    summary = Summary(value=[Summary.Value(tag=name, image=shown)])
    return Event(wall_time=path.stat().st_mtime, step=step, summary=summary)


def _text_summary(texts: dict[str, str]) -> Summary:
    """Return texts, which are Markdown, by tag."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    plugin = SummaryMetadata.PluginData(plugin_name="text")
    metadata = SummaryMetadata(plugin_data=plugin)
    tensors = {
        name: TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        for name, text in texts.items()
    }
    return Summary(
        value=[
            Summary.Value(tag=name, metadata=metadata, tensor=tensor)
            for name, tensor in tensors.items()
        ]
    )


def start(run: TrackedRun) -> Event:
    """Return the first event of a run: its settings as hyperparameters and as text."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(
        group_name=f"{run.group}/{run.name}",  # of a group, the settings of one run are shown
        start_time_secs=run.started,
    )
    tags = {name: run.tags()[name] for name in ("experiment", "variant", "name", "seed", "fold")}
    for name, value in {**tags, **run.settings()}.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value
        else:
            info.hparams[name].number_value = value
    summary = _text_summary({"settings": _table(run.settings())})
    _add_plugin_data(summary, metadata.SESSION_START_INFO_TAG, session_start_info=info)
    return Event(wall_time=run.started, summary=summary)


def end(run: TrackedRun) -> Event:
    """Return the last event of a run: how it ended."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    is_done = run.history.status == "done"
    status = api_pb2.STATUS_SUCCESS if is_done else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=run.ended)
    summary = _text_summary({"run": _table(run.tags())})
    _add_plugin_data(summary, metadata.SESSION_END_INFO_TAG, session_end_info=info)
    return Event(wall_time=run.ended, summary=summary)


def _add_plugin_data(summary: Summary, tag: str, **info: Any) -> None:
    """Add what the view of hyperparameters reads to a summary."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **info)
    content = data.SerializeToString(deterministic=True)  # else names are in any order
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content)
    made = SummaryMetadata(plugin_data=plugin)
    summary.value.append(Summary.Value(tag=tag, metadata=made, tensor=metadata.NULL_TENSOR))


def _table(values: dict[str, Any]) -> str:
    """Return names and values as a table in Markdown."""
    rows = [
        f"| {markdown_text(name)} | {markdown_text(str(each))} |" for name, each in values.items()
    ]
    return "\n".join(["| | |", "| --- | --- |", *rows])
