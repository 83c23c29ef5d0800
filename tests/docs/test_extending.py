"""The components that docs/extending.md shows are real ones."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from example_settings import example_settings
from families import family
from hypothesis import given, settings
from PIL import Image
from situations import check_rule, situations
from sklearn.metrics import recall_score
from torchvision_oracle import as_torchvision

from runner.artifacts.hashes import HashCache
from runner.components.data.dataset import DataAccess
from runner.components.data.finding import MissingData
from runner.core.plan import Facts, Plan
from runner.engine.tally import Tally
from runner.planner.rules import RULES, SHARING, apply_rules

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def module_of(text: str, folder: Path, name: str) -> object:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks a class's names up there
    spec.loader.exec_module(module)
    return module


def test_files_that_the_page_names_are_there_but_for_its_examples() -> None:
    named = set(re.findall(r"\b(?:runner|tests|tools)/[\w/]+\.py", PAGE))
    assert {path for path in named if not (ROOT / path).is_file()} == {
        "runner/components/augmentations/posterize.py",
        "runner/components/data/leaves.py",
        "runner/components/data/signs.py",
        "runner/components/data/stripes.py",
        "runner/components/models/pooled.py",
        "runner/planner/longest_first.py",
        "tests/planner/test_longest_first.py",
    }


@pytest.mark.slow
def test_the_examples_of_the_page_pass_the_checks() -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for text in BLOCKS:
        commands = [[*ruff, "format", "--diff", "-"]]
        if text.startswith('"""'):  # a whole module
            commands.append([*ruff, "check", "--stdin-filename", "runner/example.py", "-"])
        for command in commands:
            found = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True)
            assert found.returncode == 0, found.stdout


def test_the_data_set_of_the_page_can_be_read_and_split(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class Stripes" in each]
    stripes = module_of(text, tmp_path, "stripes").Stripes(dataset="stripes")
    source = stripes.build(DataAccess((), lambda folder, names: []))
    assert np.asarray(source.read(1)).shape == (16, 16, 3)
    splits = stripes.split(source.labels, source.classes, source.splits)
    assert len(splits["test"]) == 40


def places_of(folder: Path) -> DataAccess:
    return DataAccess((folder,), HashCache(folder / "hashes").hash_files)


def test_the_data_set_in_one_file_has_its_official_split(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class Signs" in each]
    signs = module_of(text, tmp_path, "signs_of_the_page").Signs(dataset="signs", validation=0.25)
    with pytest.raises(MissingData, match="no folder signs") as caught:
        signs.build(places_of(tmp_path))
    assert caught.value.looked == (tmp_path / "signs",)
    (tmp_path / "signs").mkdir()
    with pytest.raises(FileNotFoundError, match=r"signs\.npz"):
        signs.build(places_of(tmp_path))
    for wrong in (b"", b"not numpy's", b"PK\3\4 cut off"):
        (tmp_path / "signs" / "signs.npz").write_bytes(wrong)
        with pytest.raises(OSError, match=r"signs\.npz: "):
            signs.build(places_of(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (24, 5, 6, 3), dtype=np.uint8)
    arrays = {"images": images, "labels": np.arange(24) % 3, "classes": ["a", "b", "c"]}
    fingerprints = set()
    for first_test in (12, 12, 15):
        is_test = np.arange(24) >= first_test
        np.savez(tmp_path / "signs" / "signs.npz", is_test=is_test, **arrays)
        source = signs.build(places_of(tmp_path))
        splits = signs.split(source.labels, source.classes, source.splits)
        assert splits["test"] == list(range(first_test, 24))
        assert len(splits["val"]) == round(first_test / 4)
        np.testing.assert_array_equal(np.asarray(source.read(7)), images[7])
        fingerprints.add(source.fingerprint)
    assert len(fingerprints) == 2


def test_the_layout_of_the_page_is_that_of_its_data_set(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "def write_signs" in each]
    head = "from pathlib import Path\n\nimport numpy as np\n\n\n"
    module_of(head + text, tmp_path, "layout_of_the_page").write_signs(tmp_path)
    (text,) = [each for each in BLOCKS if "class Signs" in each]
    signs = module_of(text, tmp_path, "signs_of_the_page").Signs(dataset="signs")
    source = signs.build(places_of(tmp_path))
    splits = signs.split(source.labels, source.classes, source.splits)
    assert [len(splits[name]) for name in ("train", "val", "test")] == [24, 6, 10]


def test_the_data_set_of_image_files_has_the_split_of_its_lists(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class Leaves" in each]
    leaves = module_of(text, tmp_path, "leaves_of_the_page").Leaves(dataset="leaves", validation=0)
    root = tmp_path / "leaves"
    names = [f"{folder}/{number}.png" for folder in ("elm", "oak") for number in range(4)]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(root / name)
    fingerprints = set()
    for num_test in (1, 2):
        (root / "test.txt").write_text("\n".join(names[-num_test:]))
        (root / "train.txt").write_text("\n".join(names[:-num_test]))
        source = leaves.build(places_of(tmp_path))
        splits = leaves.split(source.labels, source.classes, source.splits)
        assert [source.names[index] for index in splits["test"]] == names[-num_test:]
        assert (source.classes, source.labels) == (("elm", "oak"), (0,) * 4 + (1,) * 4)
        assert np.asarray(source.read(3))[0, 0, 0] == 3
        fingerprints.add(source.fingerprint)
    assert len(fingerprints) == 2


def test_the_optimizer_of_the_page_takes_a_step(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class RMSprop" in each]
    head = (ROOT / "runner" / "components" / "optimizers.py").read_text(encoding="utf-8")
    head = head[: head.index("Optimizer = Annotated[")]
    module = module_of(head + text, tmp_path, "more_optimizers")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = module.RMSprop(name="rmsprop").build([weight])
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


def test_the_model_of_the_page_gives_logits(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class Pooled" in each]
    model = module_of(text, tmp_path, "pooled").Pooled(name="pooled", grid=2)
    network = model.build((3, 5, 7), 4)
    model.initialise(network)
    assert network(torch.zeros(6, 3, 5, 7)).shape == (6, 4)
    assert network[2].in_features == 12


def test_the_augmentation_of_the_page_is_that_of_torchvision(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class RandomPosterize" in each]
    made = module_of(text, tmp_path, "posterize").RandomPosterize
    settings = example_settings(made, "nowhere")
    assert settings == {"bits": 3}
    for bits in range(1, 9):
        step = made(name="RandomPosterize", bits=bits)
        images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
        assert torch.equal(step.apply(images, {}, (0.0,)), as_torchvision(step, images, {}, (0.0,)))


def test_the_rule_of_the_page_keeps_to_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = [each for each in BLOCKS if "def begin_with_the_longest" in each]
    name = "runner.planner.longest_first"
    module = module_of(text, tmp_path, name)
    monkeypatch.setitem(sys.modules, name, module)
    (test,) = [each for each in BLOCKS if "def test_the_longest" in each]
    module_of(test, tmp_path, "longest_first_test").test_the_longest_training_comes_first()

    @settings(max_examples=10)
    @given(situations())
    def check(situation: tuple[Plan, Facts]) -> None:
        plan, facts = situation
        check_rule(module.begin_with_the_longest, apply_rules(plan, facts), facts)
        check_rule(module.begin_with_the_longest, plan, facts)

    check()
    last = apply_rules(family({"A": "x2", "B": "x2 y9"}), Facts(seconds={"t": 1.0}))
    check_rule(module.begin_with_the_longest, last, Facts(seconds={"t": 1.0}))


def test_the_page_of_the_planner_names_every_rule() -> None:
    page = (ROOT / "docs" / "planner.md").read_text(encoding="utf-8")
    table = page[page.index("| rule |") : page.index("*Bit for bit*")]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert set(named) == {rule.__name__ for rule in RULES}
    sharing = page[
        page.index("`--disable RULE` switches") : page.index("### What another precision")
    ]
    assert tuple(re.findall(r"`(\w+)`", sharing)) == SHARING


def test_measure_of_the_page_is_what_scikit_learn_computes(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class WorstClass" in each]
    head = (ROOT / "runner" / "components" / "measures.py").read_text(encoding="utf-8")
    head = head[: head.index("MEASURES: tuple[")]
    module = module_of(head + text, tmp_path, "more_measures")
    (measure,) = [each for each in module.MEASURES if each.name == "worst_class"]
    generator = torch.Generator().manual_seed(5)
    logits, labels = torch.randn(60, 4, generator=generator), torch.arange(60) % 7 % 3
    tally = Tally([measure])
    for part in range(0, 60, 16):
        tally.add(logits[part : part + 16], labels[part : part + 16])
    recalls = recall_score(labels, logits.argmax(1), labels=range(3), average=None)
    assert tally.values() == {"worst_class": pytest.approx(recalls.min())}
