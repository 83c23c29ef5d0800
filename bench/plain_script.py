"""The script that people write: one training of a small CNN on class folders, with a DataLoader.

    python bench/plain_script.py SETTINGS

SETTINGS is a JSON mapping: folder, filters, linear, batch_norm, epochs, batch, rate, patience or
null, augment (names), workers. A baseline of bench/baseline.py; no part of the program. Prints how
many epochs it trained and the best accuracy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torchvision
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

AUGMENTATIONS = {
    "flip": transforms.RandomHorizontalFlip(),
    "crop": transforms.RandomCrop(32, padding=4),
    "jitter": transforms.ColorJitter(0.4, 0.4, 0.4, 0.1),
}
FINISH = [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]


def main() -> None:
    """Train, evaluate on the validation images after each epoch, keep the best weights."""
    settings = json.loads(sys.argv[1])
    torch.manual_seed(0)
    train, val = loaders(settings)
    network = small_cnn(settings, num_classes=10)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings["rate"])
    criterion = nn.CrossEntropyLoss()
    best, kept = 0.0, network.state_dict()
    least, waited, epochs = float("inf"), 0, 0
    for _ in range(settings["epochs"]):
        network.train()
        for inputs, targets in train:
            optimizer.zero_grad()
            criterion(network(inputs), targets).backward()
            optimizer.step()
        loss, accuracy = evaluated(network, val, criterion)
        epochs += 1
        if accuracy > best:
            best, kept = accuracy, {k: v.clone() for k, v in network.state_dict().items()}
        waited = 0 if loss < least else waited + 1
        least = min(loss, least)
        if settings["patience"] is not None and waited >= settings["patience"]:
            break
    torch.save(kept, "best.pt")
    print(epochs, best)


def loaders(settings: Mapping[str, Any]) -> Sequence[DataLoader[Any]]:
    """Return the loaders of the training and the validation images."""
    augmented = transforms.Compose(
        [*(AUGMENTATIONS[each] for each in settings["augment"]), *FINISH]
    )
    seen = torchvision.datasets.ImageFolder(settings["folder"], augmented)
    plain = torchvision.datasets.ImageFolder(settings["folder"], transforms.Compose(FINISH))
    indices = list(range(len(seen)))
    train, val = train_test_split(indices, test_size=0.2, stratify=seen.targets, random_state=0)
    more = {"num_workers": settings["workers"], "persistent_workers": settings["workers"] > 0}
    return (
        DataLoader(Subset(seen, train), batch_size=settings["batch"], shuffle=True, **more),
        DataLoader(Subset(plain, val), batch_size=settings["batch"], **more),
    )


def small_cnn(settings: Mapping[str, Any], num_classes: int) -> nn.Sequential:
    """Return blocks of convolution, batch normalisation, ReLU and pooling, and linear layers."""
    layers: list[nn.Module] = []
    width, side = 3, 32
    for filters in settings["filters"]:
        layers.append(nn.Conv2d(width, filters, 3, padding=1))
        layers += [nn.BatchNorm2d(filters)] if settings["batch_norm"] else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        width, side = filters, side // 2
    layers.append(nn.Flatten())
    width *= side * side
    for units in settings["linear"]:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, num_classes))


def evaluated(
    network: nn.Module, loader: DataLoader[Any], criterion: nn.Module
) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    network.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for inputs, targets in loader:
            logits = network(inputs)
            loss += float(criterion(logits, targets)) * len(targets)
            right += int((logits.argmax(1) == targets).sum())
            count += len(targets)
    return loss / count, right / count


if __name__ == "__main__":
    main()
