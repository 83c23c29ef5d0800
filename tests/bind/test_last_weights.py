"""The last weights of a run that counts them as its best: one set of weights, asked for as either.

Names of analyses, their pictures and kept logits are found all the same.
"""

from pathlib import Path

import pytest

from runner import api

SPEC = """\
name: ended
data: {dataset: digits, validation: 0.25}
model: {name: mlp, hidden: [5]}
train: {epochs: 1, batch_size: 64, best: {monitor: last}}
analyses:
  said: {name: predictions, weights: last}
  too: predictions
figures:
  said: {name: predictions, analysis: said, show: [wrong, confusion], count: 3}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ended")
    (folder / "ended.yaml").write_text(SPEC, encoding="utf-8")
    api.run(folder / "ended.yaml", device="cpu", threads=1, db=folder / "results.db")
    return folder


@pytest.mark.slow
def test_show_and_inspect_know_both_names_of_what_was_looked_at_once(ended: Path) -> None:
    db = ended / "results.db"
    analyses = api.show("ended:0", db=db)["analyses"]
    assert sorted(each["names"] for each in analyses) == [["said"], ["too"]]
    assert len({each["stage_key"] for each in analyses}) == 1
    found = api.inspect_analysis("ended:0", "predictions", "said", ended / "said.png", db)
    assert found.arrays["confusion"].sum() == len(api.predictions("ended:0", "val", db=db).frame())


@pytest.mark.slow
def test_sheets_are_drawn_of_the_logits_that_are_called_best(ended: Path) -> None:
    drawn = api.plot(ended / "ended.yaml", "said", out=ended / "f.png", db=ended / "results.db")
    assert drawn.left_out == ()
    assert [path.name for path in drawn.paths] == ["f-confusion.png", "f-wrong.png"]


@pytest.mark.slow
def test_weights_are_looked_at_under_the_name_that_a_plan_has_for_them(
    ended: Path, tmp_path: Path
) -> None:
    tested = SPEC.split("analyses")[0].replace(
        "best: {monitor: last}}", "}\nevaluate: {test: last}"
    )
    tested = tested.replace("validation: 0.25", "validation: 0.25, test: 0.2")
    (tmp_path / "ended.yaml").write_text(tested, encoding="utf-8")
    api.run(tmp_path / "ended.yaml", device="cpu", threads=1, db=tmp_path / "results.db")
    for folder, called in ((ended, "best"), (tmp_path, "last")):  # of one epoch in both
        model, _ = api.KeptRun("ended:0", "last", db=folder / "results.db").load()
        assert model.kept is not None
        assert model.kept.weights == called


@pytest.mark.slow
def test_logits_are_found_by_either_name_of_their_weights(ended: Path) -> None:
    db = ended / "results.db"
    best, last = (api.predictions("ended:0", "val", which, db) for which in ("best", "last"))
    assert best.frame().equals(last.frame())
