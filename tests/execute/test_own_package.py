"""Runs of classes of installed packages: without --code, imported by what needs them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import FILES, install, site_folder

from runner import api
from runner.cli.inspect import show
from runner.core.errors import SpecError

__all__ = ["site_folder"]

SPEC = """\
name: own
data: digits
model: {name: "mynets:wide_net"}
train: {epochs: 1, batch_size: 256, optimizer: {name: sgd, lr: 0.1}}
sweep:
  grid:
    model.width: [2, 3]
"""
OTHER = (
    SPEC.replace("name: own", "name: other")
    .replace('"mynets:wide_net"', "mlp, hidden: [4]")
    .replace("model.width: [2, 3]", "lr: [1]")
)
MARK = Path("was_imported")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site_folder: Path) -> Path:
    """Return the current folder, with a spec that names what is installed."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    install(site_folder)
    Path("own.yaml").write_text(SPEC)
    return folder


def test_nothing_is_imported_where_a_spec_is_checked(home: Path) -> None:
    (experiment,) = api.validate("own.yaml").experiments
    assert [cell.settings.model.width for cell in experiment.cells] == [2, 3]  # type: ignore[union-attr]
    assert api.spec_schema()
    Path("own.yaml").write_text(SPEC.replace('wide_net"', 'wide_nett"'))
    with pytest.raises(SpecError, match=r"own\.yaml:3:15: no installed package offers"):
        api.validate("own.yaml")
    Path("own.yaml").write_text(SPEC.replace('wide_net"', 'wide_net", widht: 3'))
    with pytest.raises(SpecError, match=r"own\.yaml:3:34: unknown setting 'widht' in model"):
        api.validate("own.yaml")
    assert not MARK.exists()


@pytest.mark.slow
def test_package_is_imported_by_runs_that_name_it_alone(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.yaml").write_text(OTHER)
    assert set(api.run("other.yaml").statuses.values()) == {"done"}
    assert not MARK.exists()
    assert set(api.run("own.yaml").statuses.values()) == {"done"}
    assert MARK.exists()
    MARK.unlink()
    assert len(api.list_runs().frame()) == 3
    assert len(api.report("own").frame()) == 2
    record = api.show("own:0:0").record
    assert record["own_packages"] == {"model": "mynets 1.0"}
    assert record["own_code"]["model"]["mynets/sizes.py"] == FILES["sizes.py"]
    show("own:0:0")
    assert "package   model: mynets 1.0\n" in capsys.readouterr().out
    assert api.plan("own.yaml").planned.epochs == 0
    assert not MARK.exists()
    info = site_folder / "mynets-1.0.dist-info"
    (info / "METADATA").write_text("Name: mynets\nVersion: 1.1\n")
    info.rename(site_folder / "mynets-1.1.dist-info")
    assert api.plan("own.yaml").planned.epochs == 2
    api.run("own.yaml", only=["model.width=2"])
    found = api.diff(record["run_key"], "own:0:0").frame()
    rows = found[found["part"] == "code"].drop(columns="part").values.tolist()
    assert rows == [["model", "mynets 1.0", "mynets 1.1"]]


@pytest.mark.slow
def test_loss_of_a_package_trains(site_folder: Path) -> None:
    loss = (
        "from torch import nn\nfrom torch.nn import functional as F\n\n\nclass Plain(nn.Module):\n"
        "    def forward(self, logits, labels):\n        return F.cross_entropy(logits, labels)\n"
    )
    offers = "plain = mynets.losses:Plain"
    install(site_folder, name="my-losses", offers=offers, files={**FILES, "losses.py": loss})
    Path("own.yaml").write_text(
        OTHER.replace("epochs: 1", 'epochs: 1, loss: {name: "my-losses:plain"}')
    )
    assert set(api.run("own.yaml").statuses.values()) == {"done"}
    assert not MARK.exists()
