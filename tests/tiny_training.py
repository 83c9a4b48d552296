"""A network of one convolution, and the steps that train it with a loss: no more of a trainer than a loss must see."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from interpkit.losses import Edit, InterpretableLoss, Layer, Pass, Step
from interpkit.surgery import PartMask

UNITS, CLASSES, SIDE, IMAGES, BATCH = 6, 3, 6, 24, 8
SITE = "conv.act"


class Tiny(nn.Module):
    """(n, 2, 6, 6) -> (n, 3) by 6 units."""

    def __init__(self, *, masked: bool, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv = nn.Conv2d(2, UNITS, 3, padding=1)
            self.act = nn.ReLU()
            self.mask = PartMask(UNITS) if masked else nn.Identity()
            self.head = nn.Linear(UNITS, CLASSES)

    def run(self, images: Tensor, edit: Edit | None = None) -> Pass:
        maps = self.act(self.conv(images))
        masked = self.mask(maps)
        handed = masked if edit is None else edit(SITE, masked)
        return Pass(self.head(handed.mean((2, 3))), {SITE: maps})

    @property
    def layer(self) -> Layer:
        return Layer(UNITS, (SIDE, SIDE), self.mask if isinstance(self.mask, PartMask) else None)


@dataclass(eq=False)
class Training:
    """A tiny network, its images (N, 2, 6, 6) and classes (N, K), and the loss it is trained with."""

    loss: InterpretableLoss
    net: Tiny
    multi: bool = False
    epochs: int = 6
    images: Tensor = field(init=False)
    member: Tensor = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(IMAGES, 2, SIDE, SIDE, generator=generator)
        self.member = torch.eye(CLASSES)[torch.arange(IMAGES) % CLASSES]
        if self.multi:
            self.member = (torch.rand(IMAGES, CLASSES, generator=generator) < 0.5).float()
        self.loss.attach({SITE: self.net.layer}, classes=CLASSES, multi=self.multi, epochs=self.epochs)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.02)

    def step(self, epoch: int, chosen: Tensor | None = None) -> Step:
        """On these images, by number; on all of them for None."""
        rows = torch.arange(IMAGES) if chosen is None else chosen
        member = self.member[rows]

        def task(outputs: Tensor) -> Tensor:
            if self.multi:
                return binary_cross_entropy_with_logits(outputs.float(), member)
            return cross_entropy(outputs.float(), member.argmax(1))

        return Step(member, epoch, lambda edit: self.net.run(self.images[rows], edit), task)

    def train(self, epochs: range) -> None:
        own = self.loss.own_optimizer()
        optimizers = [self.optimizer, *([] if own is None else [own])]
        for epoch in epochs:
            self.loss.begin(epoch)
            order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(epoch))
            for chosen in order.split(BATCH):
                for optimizer in optimizers:
                    optimizer.zero_grad()
                self.loss(self.step(epoch, chosen)).backward()
                for optimizer in optimizers:
                    optimizer.step()
                self.loss.after_step(epoch)
