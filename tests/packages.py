"""A small package as an installer leaves it, and the folder into which it is installed."""

from __future__ import annotations

import json
import site
import sysconfig
from pathlib import Path

import pytest

from runner.components.own import installed

MODELS = '''
"""Networks of an installed package."""

from pathlib import Path

from torch import nn

from .sizes import SCALE

Path("was_imported").touch()


class WideNet(nn.Module):
    def __init__(self, num_classes: int, image_shape, width: int = 4):
        super().__init__()
        inputs = image_shape[0] * image_shape[1] * image_shape[2]
        self.inside, self.out = nn.Linear(inputs, width), nn.Linear(width, num_classes)

    def forward(self, x):
        return self.out(self.inside(x.flatten(1)).relu() * SCALE)
'''
FILES = {"__init__.py": "", "models.py": MODELS, "sizes.py": "SCALE = 1.0\n"}
OFFERS = "wide_net = mynets.models:WideNet"


def install(
    folder: Path,
    *,
    name: str = "mynets",
    version: str = "1.0",
    offers: str = OFFERS,
    files: dict[str, str] | None = None,
    project: Path | None = None,
) -> None:
    """Write a package and what installers say of it.

    Args:
        folder: into which it is installed.
        name: of the distribution.
        version: of it.
        offers: its entry points, a line each.
        files: of its module ``mynets``.
        project: an editable package lies there.
    """
    module = (project or folder) / "mynets"
    module.mkdir(parents=True, exist_ok=True)
    for file, text in (FILES if files is None else files).items():
        (module / file).write_text(text)
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[runner.components]\n{offers}\n")
    if project is not None:
        origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the only one into which packages are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setattr(installed, "INSTALLERS", ())
    return folder
