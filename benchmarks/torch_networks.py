"""The paper's three networks in PyTorch, as `kdfunc.models` has them."""

import numpy as np
import torch
from torch import nn


def trainer(
    architecture: str, threads: int, images: np.ndarray, labels: np.ndarray, batch: int
):
    """A function that trains for one pass over the images with Adam.

    Args:
      architecture: "lenet", "mobilenet" or "resnet50".
      threads: of one operation.
      images: `[n, height, width, channels]` uint8.
      labels: `[n]`.
      batch: images per step.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = {"lenet": lenet, "mobilenet": mobilenet, "resnet50": resnet50}
    model = network[architecture](10).train()
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(labels)
    optimizer, loss = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    def run() -> None:
        right = 0
        for start in range(0, len(x), batch):
            truth = y[start : start + batch]
            optimizer.zero_grad(set_to_none=True)
            logits = model(x[start : start + batch].float() / 255)
            loss(logits, truth).backward()
            optimizer.step()
            right += (logits.argmax(1) == truth).sum()

    return run


def lenet(classes: int) -> nn.Module:
    """Two convolutions and two dense layers, for 28 x 28 images of one channel."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1600, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def mobilenet(classes: int) -> nn.Module:
    """MobileNet v1 with a hidden layer of 512 in its head."""

    def step(i, o, kernel, stride, padding, groups=1):
        return nn.Sequential(
            nn.Conv2d(i, o, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(o, eps=1e-3, momentum=0.01),
            nn.ReLU6(inplace=True),
        )

    layers, i = [step(3, 32, 3, 2, 1)], 32
    shape = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    for o, stride in shape + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        layers += [step(i, i, 3, stride, 1, i), step(i, o, 1, 1, 0)]
        i = o
    return nn.Sequential(*layers, *_head(1024, classes))


def resnet50(classes: int) -> nn.Module:
    """ResNet-50 v1 with a hidden layer of 512 in its head."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, 1))
    i = 64
    for width, blocks, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for block in range(blocks):
            layers.append(_Block(i, width, 1 if block else stride, not block))
            i = 4 * width
    return nn.Sequential(*layers, *_head(2048, classes))


def _head(width: int, classes: int) -> list[nn.Module]:
    dense = [nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, classes)]
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dense]


class _Block(nn.Module):
    """A bottleneck of three convolutions with a shortcut."""

    def __init__(self, i: int, width: int, stride: int, projected: bool):
        super().__init__()
        o = 4 * width
        self.shortcut = nn.Identity()
        if projected:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride), nn.BatchNorm2d(o))
        self.body = nn.Sequential(
            nn.Conv2d(i, width, 1, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, o, 1),
            nn.BatchNorm2d(o),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of both ways, rectified."""
        return torch.relu_(self.body(x) + self.shortcut(x))
