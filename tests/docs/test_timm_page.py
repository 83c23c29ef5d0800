"""The section of docs/spec.md about timm's networks: its spec runs."""

import re
from pathlib import Path

import pytest

from runner import api
from runner.components.models.timm_names import timm_version

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
SPECS = re.findall(r"<!-- (timm\w*) -->\n```yaml\n(.*?)```", PAGE, re.S)


@pytest.mark.slow
@pytest.mark.skipif(not timm_version(), reason="timm is not installed")
@pytest.mark.parametrize(("name", "spec"), SPECS, ids=[name for name, _ in SPECS])
def test_the_specs_of_timm_on_the_page_run(
    name: str, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(f"name: {name}\n{spec}")
    frame = api.run("spec.yaml", device="cpu").frame()
    assert len(frame) == 3
    assert (frame["val_accuracy"] > 0.5).all()
