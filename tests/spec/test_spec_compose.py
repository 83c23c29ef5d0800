import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.core.errors import SpecError
from runner.core.run import Published
from runner.spec.experiment import Experiment, load_experiment
from runner.spec.nodes import merge, plain, put, to_node

BASE = {
    "name": "base",
    "data": {"dataset": "digits"},
    "model": {"name": "mlp", "hidden": [8, 4], "dropout": 0.1},
    "train": {"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9}},
}


class Specs:
    """Writes specs into one folder and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, spec: dict[str, Any]) -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, **spec}, sort_keys=False))
        return path

    def child(self, spec: dict[str, Any], **options: Any) -> Experiment:
        path = self.write("child", {"extends": "base.yaml", **spec})
        return load_experiment(path, **options)


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    made = Specs(tmp_path)
    made.write("base", BASE)
    return made


LAYERS = ("extends", "spec", "cell", "profile", "set")
EPOCHS = dict(zip(LAYERS, (11, 12, 13, 14, 15), strict=True))
DEFAULT_EPOCHS = 10


@pytest.mark.parametrize(
    "present",
    [layers for size in range(6) for layers in itertools.combinations(LAYERS, size)],
    ids=lambda layers: "+".join(layers) or "defaults",
)
def test_last_layer_that_gives_a_setting_wins(specs: Specs, present: tuple[str, ...]) -> None:
    def given(layer: str) -> dict[str, Any]:
        return {"train": {"epochs": EPOCHS[layer]}} if layer in present else {}

    specs.write("base", {**BASE, "train": {**BASE["train"], **given("extends").get("train", {})}})
    spec = {**given("spec"), "profiles": {"quick": given("profile")}}
    if "cell" in present:
        spec["sweep"] = {"rows": [{"epochs": EPOCHS["cell"]}]}
    sets = [f"epochs={EPOCHS['set']}"] if "set" in present else []
    experiment = specs.child(spec, profile="quick", sets=sets)
    (cell,) = experiment.cells
    expected = EPOCHS[present[-1]] if present else DEFAULT_EPOCHS
    assert cell.settings.train.epochs == expected
    assert cell.settings.train.optimizer.momentum == 0.9


def settings_of(experiment: Experiment) -> dict[str, Any]:
    (cell,) = experiment.cells
    return cell.cell.settings


def test_mapping_without_a_name_merges(specs: Specs) -> None:
    optimizer = settings_of(specs.child({"train": {"optimizer": {"lr": 0.25}}}))["train"][
        "optimizer"
    ]
    assert (optimizer["name"], optimizer["lr"], optimizer["momentum"]) == ("sgd", 0.25, 0.9)


def test_mapping_with_the_same_name_merges(specs: Specs) -> None:
    child = {"train": {"optimizer": {"name": "sgd", "lr": 0.25}}}
    optimizer = settings_of(specs.child(child))["train"]["optimizer"]
    assert (optimizer["lr"], optimizer["momentum"]) == (0.25, 0.9)


@pytest.mark.parametrize("optimizer", ["adam", {"name": "adam"}], ids=["short", "mapping"])
def test_mapping_with_another_name_replaces_the_inherited_one_whole(
    specs: Specs, optimizer: Any
) -> None:
    settings = settings_of(specs.child({"train": {"optimizer": optimizer}}))
    assert settings["train"]["optimizer"]["name"] == "adam"
    assert settings["train"]["optimizer"]["lr"] == 0.001


@pytest.mark.parametrize("named", [{}, {"dataset": "huggingface"}], ids=["without", "with"])
def test_a_data_sets_own_name_is_a_setting(specs: Specs, named: dict[str, str]) -> None:
    hub = {"dataset": "huggingface", "name": "owner/set@1", "config": "small"}
    specs.write("base", {**BASE, "data": hub})
    data = settings_of(specs.child({"data": {**named, "name": "owner/set@2"}}))["data"]
    assert (data["dataset"], data["name"], data["config"]) == (
        *("huggingface", "owner/set@2", "small"),
    )
    data = settings_of(specs.child({"data": {"dataset": "digits"}}))["data"]
    assert (data["dataset"], "config" in data) == ("digits", False)


def test_name_given_later_keeps_what_was_inherited_without_one(specs: Specs) -> None:
    specs.write("base", {"data": {"validation": 0.5}, "train": {"optimizer": {"lr": 0.125}}})
    child = {"data": "digits", "model": "mlp", "train": {"optimizer": "sgd"}}
    settings = settings_of(specs.child(child))
    assert settings["data"]["validation"] == 0.5
    assert settings["train"]["optimizer"]["name"] == "sgd"
    assert settings["train"]["optimizer"]["lr"] == 0.125


def test_learning_rate_without_an_optimizer_goes_to_every_swept_one(specs: Specs) -> None:
    specs.write("base", {**BASE, "train": {"optimizer": {"lr": 0.125}}})
    experiment = specs.child({"sweep": {"grid": {"optimizer": ["sgd", "adam"]}}})
    rates = [item.settings.train.optimizer.lr for item in experiment.cells]
    assert rates == [0.125, 0.125]


def test_lists_are_replaced(specs: Specs) -> None:
    assert settings_of(specs.child({"model": {"hidden": [2]}}))["model"]["hidden"] == [2]


def test_null_switches_an_inherited_mapping_off(specs: Specs) -> None:
    specs.write("base", {**BASE, "train": {"early_stopping": {"patience": 3}}})
    settings = settings_of(specs.child({"train": {"early_stopping": None}}))
    assert settings["train"]["early_stopping"] is None


def test_settings_come_through_several_generations(specs: Specs) -> None:
    specs.write("middle", {"extends": "base.yaml", "train": {"epochs": 3}})
    path = specs.write("leaf", {"extends": "middle.yaml", "model": {"dropout": 0.5}})
    settings = settings_of(load_experiment(path))
    assert settings["train"]["epochs"] == 3
    assert (settings["model"]["dropout"], settings["model"]["hidden"]) == (0.5, [8, 4])


def test_spec_extends_relative_to_itself(specs: Specs) -> None:
    folder = specs.folder / "below"
    folder.mkdir()
    (folder / "leaf.yaml").write_text("name: leaf\nextends: ../base.yaml\n")
    assert settings_of(load_experiment(folder / "leaf.yaml"))["model"]["hidden"] == [8, 4]


RICH = {
    **BASE,
    "about": "the base",
    "sweep": {"rows": [{"label": "a", "lr": 0.5}, {"label": "b", "lr": 0.25}]},
    "tables": {"grid": {"NET": {"label": "label"}, "ACC": "val_accuracy"}},
    "published": [{"where": {"label": "a"}, "values": {"ACC": 0.9}}],
    "seeds": [5, 6],
    "profiles": {"quick": {"epochs": 1}},
}


def test_sweep_tables_published_seeds_and_profiles_are_not_inherited(specs: Specs) -> None:
    specs.write("base", RICH)
    experiment = specs.child({})
    (cell,) = experiment.cells
    assert (cell.cell.labels, cell.cell.swept, cell.cell.published) == ({}, {}, {})
    assert cell.cell.seed == 0
    assert experiment.about == ""
    assert [column.title for column in experiment.tables[0].columns] == ["VAL_ACC", "TEST_ACC"]
    with pytest.raises(SpecError, match="no profile 'quick'"):
        specs.child({}, profile="quick")


def test_extends_inherits_what_it_keeps(specs: Specs) -> None:
    specs.write("base", RICH)
    keep = ["sweep", "tables", "published", "seeds", "profiles"]
    experiment = specs.child({"extends": {"file": "base.yaml", "keep": keep}}, profile=None)
    cells = [item.cell for item in experiment.cells]
    assert [(cell.labels["label"], cell.seed) for cell in cells] == [
        ("a", 5),
        ("a", 6),
        ("b", 5),
        ("b", 6),
    ]
    assert [dict(cell.published) for cell in cells] == [{"ACC": Published(0.9)}] * 2 + [{}] * 2
    assert experiment.tables[0].name == "grid"
    assert experiment.name == "child"


@pytest.mark.parametrize("kept", ["sweep", "seeds"])
def test_extends_keeps_only_what_is_named(specs: Specs, kept: str) -> None:
    specs.write("base", RICH)
    experiment = specs.child({"extends": {"file": "base.yaml", "keep": [kept]}})
    assert len(experiment.cells) == 2
    assert (experiment.cells[0].cell.seed == 5) == (kept == "seeds")


@pytest.mark.parametrize(
    ("inherited", "own", "seeds"),
    [({"seed": 7}, {"seeds": [1, 2]}, [1, 2]), ({"seeds": [1, 2]}, {"seed": 7}, [7])],
    ids=["seeds over seed", "seed over seeds"],
)
def test_seed_and_seeds_replace_each_other(specs: Specs, inherited, own, seeds) -> None:
    specs.write("base", {**BASE, **inherited})
    extends = {"file": "base.yaml", "keep": ["seeds"]}
    experiment = specs.child({"extends": extends, **own})
    assert [item.cell.seed for item in experiment.cells] == seeds


def test_document_holds_what_is_inherited(specs: Specs) -> None:
    document = specs.child({"train": {"epochs": 3}}).document
    assert document["model"]["hidden"] == (8, 4)
    assert document["train"]["epochs"] == 3
    assert "extends" not in document


def test_problems_in_an_inherited_file_are_placed_there(specs: Specs) -> None:
    specs.write("base", {**BASE, "model": {"name": "mlp", "dropout": 2}})
    with pytest.raises(SpecError) as caught:
        specs.child({})
    (problem,) = caught.value.problems
    assert problem.position is not None
    assert problem.position.file.endswith("base.yaml")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a\0b.yaml", "the character"),
        ("x" * 5000, "extends a file that cannot be: File name too long"),
        ("~nobody/x.yaml", "extends ~nobody/x.yaml, but there is no file "),
        ("loop.yaml", "extends "),
        ("", "extends , but there is no file "),
        (".", "extends ., but there is no file "),
    ],
    ids=["NUL", "long", "unknown user", "links", "empty", "folder"],
)
def test_extends_with_an_unknown_name_is_a_problem_at_its_position(
    specs: Specs, name: str, found: str
) -> None:
    (specs.folder / "loop.yaml").symlink_to("pool.yaml")
    (specs.folder / "pool.yaml").symlink_to("loop.yaml")
    path = specs.write("child", {"extends": name})
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    (problem,) = caught.value.problems
    assert str(problem.position) == f"{path}:2:10"
    assert problem.found.startswith(found)


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file nobody can read")
def test_file_that_cannot_be_read_is_a_problem_where_it_is_extended(specs: Specs) -> None:
    path = specs.write("child", {"extends": "/proc/self/mem"})
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    assert str(caught.value).startswith(f"{path}:2:10: cannot read /proc/self/mem: ")


def test_long_chain_of_specs_that_extend_each_other_is_refused(specs: Specs) -> None:
    for number in range(1, 22):
        specs.write(f"s{number}", {"extends": f"s{number - 1}.yaml" if number > 1 else "base.yaml"})
    assert load_experiment(specs.folder / "s20.yaml").cells
    with pytest.raises(SpecError, match=r"s1\.yaml:2:10: more than 20 specs extend each other"):
        load_experiment(specs.folder / "s21.yaml")


def test_merging_shares_and_changes_no_operand() -> None:
    base, over = to_node({"a": {"b": 1, "c": [1]}, "d": 2}), to_node({"a": {"c": [2]}, "e": 3})
    merged = merge(base, over)
    assert plain(merged) == {"a": {"b": 1, "c": (2,)}, "d": 2, "e": 3}
    assert plain(base) == {"a": {"b": 1, "c": (1,)}, "d": 2}
    assert merged.value["a"].value["b"] is base.value["a"].value["b"]


def test_put_makes_the_mappings_on_its_way() -> None:
    tree = to_node({"a": {"b": 1}, "d": None})
    put_in = put(put(tree, ["a", "x", "y"], to_node(2)), ["d", "e"], to_node(3))
    assert plain(put_in) == {"a": {"b": 1, "x": {"y": 2}}, "d": {"e": 3}}
    assert plain(tree) == {"a": {"b": 1}, "d": None}
