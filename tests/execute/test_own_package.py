"""Runs of classes of installed packages: without --code, imported by what needs them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import FILES, install, site_folder

from runner import api
from runner.cli.inspect import show
from runner.core.errors import SpecError, UsageError

pytestmark = pytest.mark.slow

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
    with pytest.raises(UsageError, match=r"is other code now(?s:.)*install the package as it was"):
        api.export("own:1:0", "safetensors")
    api.run("own.yaml", only=["model.width=2"])
    found = api.diff(record["run_key"], "own:0:0").frame()
    rows = found[found["part"] == "code"].drop(columns="part").values.tolist()
    assert rows == [["model", "mynets 1.0", "mynets 1.1"]]


PARTS = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset


class Stripes(Dataset):
    classes = ["dark", "bright"]

    def __len__(self):
        return 120

    def __getitem__(self, index):
        label = index % 2
        return torch.full((8, 8), 100 + 80 * label + index % 7, dtype=torch.uint8).numpy(), label


class Plain(nn.Module):
    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels)


class Descent(torch.optim.Optimizer):
    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.add_(weight.grad, alpha=-group["lr"])


class Darker:
    def __init__(self, by: int = 1):
        self.by = by

    def __call__(self, image, generator):
        return image - self.by


class Usual:
    def __call__(self, model, images, labels, loss, optimizer, generator):
        logits = model(images)
        value = loss(logits, labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value, logits


class Share:
    def __call__(self, logits, labels):
        return (logits.argmax(1) == labels).double().mean()
"""
EVERY_KIND = """\
name: own
data: {dataset: "my-parts:stripes", validation: 0.2, test: 0.2}
model: {name: "mynets:wide_net"}
train:
  epochs: 1
  batch_size: 32
  optimizer: "my-parts:descent"
  loss: {name: "my-parts:plain"}
  augment: [{name: "my-parts:darker", by: 2}]
  step: "my-parts:usual"
metrics:
  share: "my-parts:share"
tables:
  own: {columns: {Share: test_share, Accuracy: test_accuracy}}
"""


@pytest.mark.slow
def test_a_package_offers_all_kinds(site_folder: Path) -> None:
    kinds = ("Stripes", "Plain", "Descent", "Darker", "Usual", "Share")
    offers = "\n".join(f"{kind.lower()} = mynets.parts:{kind}" for kind in kinds)
    install(site_folder, name="my-parts", offers=offers, files={**FILES, "parts.py": PARTS})
    Path("own.yaml").write_text(EVERY_KIND)
    assert set(api.run("own.yaml").statuses.values()) == {"done"}
    (row,) = api.report().frame().to_dict("records")
    assert row["Share"] == row["Accuracy"]
    packages = api.show("own:0:0").record["own_packages"]
    assert packages["train.loss"] == "my-parts 1.0"
    assert api.plan("own.yaml").planned.epochs == 0
