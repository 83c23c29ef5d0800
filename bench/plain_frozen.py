"""The script that people write: one learning rate on a frozen AlexNet, with a DataLoader.

    python bench/plain_frozen.py FOLDER WEIGHTS RATE EPOCHS WORKERS HEAD [BATCH]

FOLDER holds class folders. The baseline of `bench/planner.py frozen`; not part of the program.
"""

from __future__ import annotations

import sys

import torch
import torchvision
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms


def main() -> None:
    """Train the head, evaluate on train and validation after each epoch, test the best."""
    folder, weights, rate, epochs, workers, head = sys.argv[1:7]
    batch = int(sys.argv[7]) if len(sys.argv) > 7 else 256
    preprocess = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = torchvision.datasets.ImageFolder(folder, preprocess)
    rest, test = train_test_split(
        list(range(len(images))), test_size=0.33, stratify=images.targets, random_state=0
    )
    labels = [images.targets[index] for index in rest]
    train, val = train_test_split(rest, test_size=0.5, stratify=labels, random_state=0)
    loaders = {
        name: DataLoader(
            Subset(images, indices),
            batch_size=batch,
            shuffle=name == "train",
            drop_last=name == "train",
            num_workers=int(workers),
        )
        for name, indices in {"train": train, "val": val, "test": test}.items()
    }
    full = DataLoader(Subset(images, train), batch_size=batch, num_workers=int(workers))
    network = torchvision.models.alexnet(num_classes=len(images.classes))
    network.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    if head == "linear":
        network.classifier = nn.Linear(9216, len(images.classes))
    for parameter in network.features.parameters():
        parameter.requires_grad_(False)
    optimizer = torch.optim.SGD(
        network.classifier.parameters(), lr=float(rate), momentum=0.9, weight_decay=5e-5
    )
    criterion = nn.CrossEntropyLoss()
    best, kept = 0.0, network.state_dict()
    for _ in range(int(epochs)):
        network.train()
        network.features.eval()
        for inputs, targets in loaders["train"]:
            optimizer.zero_grad()
            criterion(network(inputs), targets).backward()
            optimizer.step()
        accuracy(network, full)
        found = accuracy(network, loaders["val"])
        if found > best:
            best, kept = found, {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(kept)
    print(best, accuracy(network, loaders["test"]))


def accuracy(network: nn.Module, loader: DataLoader[object]) -> float:
    """Return the share of images that the network gets right."""
    network.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += int((network(inputs).argmax(1) == targets).sum())
            count += len(targets)
    return right / count


if __name__ == "__main__":
    main()
