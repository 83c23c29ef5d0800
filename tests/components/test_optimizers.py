import pytest
import torch
from pydantic import ValidationError

from runner.components.losses import CrossEntropy
from runner.components.optimizers import SGD, Adam, AdamW


@pytest.mark.parametrize(
    "settings",
    [
        SGD(name="sgd", lr=0.3, momentum=0.9, nesterov=True, weight_decay=5e-5),
        Adam(name="adam", lr=0.3, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1),
        AdamW(name="adamw", lr=0.3, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1),
    ],
)
def test_optimizers_pass_every_setting_to_torch(settings) -> None:
    optimizer = settings.build([torch.nn.Parameter(torch.zeros(2))])
    assert type(optimizer).__name__.lower() == settings.name
    (group,) = optimizer.param_groups
    given = settings.model_dump(exclude={"name"})
    assert {name: group[name] for name in given} == given


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValidationError, match="nesterov needs a momentum above 0"):
        SGD(name="sgd", nesterov=True)


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, -0.1), (0.9,)])
def test_betas_are_two_rates_below_one(betas: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Adam(name="adam", betas=betas)


def test_cross_entropy_smooths_labels() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
    loss = CrossEntropy(name="cross_entropy", label_smoothing=0.3).build()(logits, labels)
    target = torch.tensor([[0.8, 0.1, 0.1]])
    assert loss.item() == pytest.approx(-(target * logits.log_softmax(1)).sum().item())
