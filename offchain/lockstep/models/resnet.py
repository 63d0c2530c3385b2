"""ResNet-18 for small images.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition" (CVPR 2016), with the stem that is usual
for CIFAR: one convolution 3x3 of stride 1 and no pooling, so that images of 28x28 or 32x32 pixels keep their places.
"""

from __future__ import annotations

from torch import Tensor, nn

from lockstep.models.norms import Norm, norm2d

BLOCKS_PER_STAGE = 2
STRIDES = (1, 2, 2, 2)


class ResidualBlock(nn.Module):
    """Two convolutions 3x3 beside a shortcut: f32 [N, inputs, H, W] -> [N, outputs, H / stride, W / stride].

    The shortcut is the identity, or a convolution 1x1 where the shape changes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, groups: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            norm2d(norm, outputs, groups),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm2d(norm, outputs, groups),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(norm2d(norm, outputs, groups))

    def forward(self, x: Tensor) -> Tensor:
        """The residual added to the shortcut."""
        return nn.functional.relu(self.residual(x) + self.shortcut(x))


class ResNet18(nn.Module):
    """Stem, four stages of two residual blocks, mean over the image, one linear layer.

    Input f32 [N, channels, H, W], such as [N, 1, 28, 28] or [N, 3, 32, 32]; output f32 [N, classes]. The stages have
    ``width``, 2, 4 and 8 times ``width`` channels; every stage but the first halves the image. ``norm`` is "batch", as
    published, or "group" (of ``groups``).
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 64, norm: Norm = "batch", groups: int = 8
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), norm2d(norm, width, groups), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        inputs = width
        for stage, stride in enumerate(STRIDES):
            outputs = width << stage
            for block in range(BLOCKS_PER_STAGE):
                blocks.append(ResidualBlock(inputs, outputs, stride if block == 0 else 1, norm, groups))
                inputs = outputs
        self.stages = nn.Sequential(*blocks)
        self.classify = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        scores: Tensor = self.classify(self.stages(self.stem(x)).mean((2, 3)))
        return scores
