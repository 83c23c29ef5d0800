"""`runner inspect filters` and the others: what the analyses of a run found, drawn."""

import shutil
from pathlib import Path

import pytest
from commands import Call

from runner import api
from runner.core.errors import UsageError

pytest.importorskip("captum")

SPEC = """\
name: seen
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: convnet, filters: [4, 5]}
train: {epochs: 1, batch_size: 16, optimizer: sgd}
analyses:
  first: filters
  where: {name: saliency, methods: [grad_cam, gradient], count: 2}
  map: embedding
  map2: {name: embedding, neighbours: 1}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    (folder / "seen.yaml").write_text(SPEC, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run("seen.yaml", device="cpu")
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.slow
def test_inspect_draws_what_an_analysis_found(home: Path, call: Call) -> None:
    drawn = call("inspect", "filters", "seen:0", "--out", "f.png")
    assert (drawn.code, drawn.out) == (0, "f.png\n")
    assert (home / "f.png").read_bytes().startswith(b"\x89PNG")
    drawn = call("inspect", "saliency", "seen:0", "--out", "s.svg")
    assert drawn.out == "s-gradient.svg\ns-grad_cam.svg\n"
    text = (home / "s-grad_cam.svg").read_text(encoding="utf-8")
    assert "Grad-CAM of features.block2.activation" in text


@pytest.mark.slow
def test_inspected_analysis_has_arrays_and_values(home: Path) -> None:
    found = api.inspect_analysis("seen:0", "saliency")
    assert found.arrays["grad_cam"].shape == (2, 8, 8)
    assert list(found.frame().columns) == ["name", "value", "class", "image"]
    assert all(path.is_file() for path in found.paths)


@pytest.mark.slow
def test_inspect_asks_which_of_several_analyses(home: Path, call: Call) -> None:
    several = call("inspect", "embedding", "seen:0")
    assert several.code == 2
    assert "run 'seen:0' has 2 analyses embedding; which one?\n    allowed: map" in several.err
    made = {each["names"][0]: each for each in api.show("seen:0")["analyses"]}
    assert set(made) == {"first", "where", "map", "map2"}
    shown = call("show", "seen:0").out
    for name in ("map", "map2"):
        key, stage = made[name]["analysis_key"], made[name]["stage_key"]
        assert f"  {name}: embedding {key[:12]}, 1 value (stage {stage[:12]})\n" in shown
        for asked in (name, key[:12], stage[:12]):
            drawn = call("inspect", "embedding", "seen:0", "--analysis", asked)
            assert drawn.code == 0
            assert drawn.out.endswith(f"-{name}.png\n")
            assert api.inspect_analysis("seen:0", "embedding", asked).key == key
        (figure,) = api.inspect_analysis("seen:0", "embedding", name).figures.values()
        assert figure.get_suptitle().endswith(f", {name}: embedding")
    (alone,) = api.inspect_analysis("seen:0", "filters").figures.values()
    assert "first" not in alone.get_suptitle()
    unknown = call("inspect", "embedding", "seen:0", "--analysis", "map3")
    assert unknown.code == 2
    assert "no analysis embedding of run 'seen:0' is called 'map3'" in unknown.err
    assert "did you mean: map" in unknown.err


@pytest.mark.parametrize("kind", ["sizes", "filter"])
def test_analysis_without_pictures_is_refused_with_those_that_have_some(
    home: Path, kind: str
) -> None:
    with pytest.raises(UsageError, match="is no analysis with pictures") as refused:
        api.inspect_analysis("seen:0", kind)
    assert "allowed: filters, neurons" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("neurons", "seen:0"), "the specs of run 'seen:0' ask for no analysis neurons; it has"),
        (("filters", "sen:0"), "did you mean: seen"),
        (("filters", "seen:0", "--out", "f.gif"), "allowed: .png, .svg, .pdf"),
    ],
)
def test_inspect_of_what_is_not_there_is_a_clear_error(
    home: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    shown = call("inspect", *words)
    assert shown.code == 2
    assert said in shown.err


def test_arrays_that_are_gone_are_said_to_be(home: Path, call: Call) -> None:
    shutil.rmtree(home / ".runner" / "analyses")
    shown = call("inspect", "filters", "seen:0")
    assert shown.code == 2
    assert "filters of run 'seen:0' cannot be shown: its arrays are gone or damaged" in shown.err
    assert "`runner run SPEC` makes them again" in shown.err
    shutil.rmtree(home / ".runner" / "weights")
    assert "only training again" in call("inspect", "filters", "seen:0").err
    never = call("inspect", "neurons", "seen:0").err
    assert "as `analyses: [neurons]`, then: runner run SPEC --rerun (the weights are gone" in never
