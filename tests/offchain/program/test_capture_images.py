"""Image layers of captured steps in float64 against eager float64: convolution, pooling, padding, upsampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lockstep.program.capture import CaptureError, capture
from lockstep.program.optimisers import SGD
from tests.offchain.program.capturing import check_against_eager, mean_square, regression


class Side(nn.Module):
    """Several layers on one input whose gradient flows to a parameter; one capture tests them all."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.3]))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x * self.scale).flatten() for layer in self.layers])


def transposed(rank: int, **options: Any) -> nn.Module:
    return (nn.ConvTranspose1d if rank == 1 else nn.ConvTranspose2d)(4, 4, 3, **options)


ROWS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: Side(nn.Conv1d(4, 4, 3, groups=2, dilation=2, padding=2), nn.Conv1d(4, 2, 3, padding="same")),
    "conv_circular": lambda: Side(nn.Conv1d(4, 2, 3, padding=1, padding_mode="circular")),
    "transposed": lambda: Side(transposed(1, stride=2), transposed(1, stride=2, padding=1, output_padding=1)),
    "transposed_groups": lambda: Side(transposed(1, groups=2, dilation=2), transposed(1, padding=1, bias=False)),
    "pool": lambda: Side(nn.MaxPool1d(2), nn.AvgPool1d(3, 2, padding=1), nn.AdaptiveMaxPool1d(3)),
    "adaptive": lambda: Side(nn.AdaptiveAvgPool1d(2), nn.AdaptiveAvgPool1d(4)),
    "upsample": lambda: Side(nn.Upsample(scale_factor=2), nn.Upsample(size=8), nn.Upsample(13, mode="linear")),
    "pad": lambda: Side(nn.ReflectionPad1d((2, 1)), nn.ReplicationPad1d((0, 3)), nn.ZeroPad1d(1)),
}
IMAGES: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: Side(transposed(2, stride=2), transposed(2, stride=(1, 2), padding=1, output_padding=(0, 1))),
    "transposed_groups": lambda: Side(transposed(2, groups=2, dilation=2), transposed(2, padding=1, bias=False)),
    "conv_reflected": lambda: Side(nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")),
    "conv_repeated": lambda: Side(nn.Conv2d(4, 2, 3, padding=2, padding_mode="replicate")),
    "max_pool": lambda: Side(nn.AdaptiveMaxPool2d((2, 3)), nn.LPPool2d(2, 2)),
    "avg_pool": lambda: Side(
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=3),
    ),
    "adaptive": lambda: Side(nn.AdaptiveAvgPool2d((3, 4)), nn.AdaptiveAvgPool2d((2, 4))),
    "nearest": lambda: Side(nn.Upsample(scale_factor=2), nn.Upsample(size=(5, 12)), nn.Upsample(scale_factor=1.4)),
    "bilinear": lambda: Side(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(size=(7, 5), mode="bilinear", align_corners=True),
        nn.Upsample(scale_factor=1.4, mode="bilinear"),
    ),
    "shuffle": lambda: Side(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2)),
    "unfold": lambda: Side(nn.Unfold(2, stride=2), nn.Unfold((3, 2), padding=1, dilation=2)),
    "pad": lambda: Side(nn.ReflectionPad2d((1, 2, 0, 3)), nn.ReplicationPad2d((2, 0, 1, 1)), nn.CircularPad2d(1)),
    "norms": lambda: Side(nn.InstanceNorm2d(4), nn.BatchNorm2d(4)),
}


def ratio_of(name: str) -> float:
    # PyTorch rounds the reciprocal of a factor such as 1.4 to float32
    return 1e-7 if name in ("bilinear", "nearest") else 1e-10


@pytest.mark.parametrize("name", ROWS)
def test_row_layer_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    check_against_eager(ROWS[name](), mean_square, regression((4, 6), (1,), rows=3), tolerance=ratio_of(name))


@pytest.mark.parametrize("name", IMAGES)
def test_image_layer_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    check_against_eager(IMAGES[name](), mean_square, regression((4, 4, 6), (1,), rows=3), tolerance=ratio_of(name))


def test_fold_of_captured_step_has_eager_gradient() -> None:
    model = Side(nn.Fold((3, 4), 2), nn.Fold((3, 4), 2, padding=1, stride=2))
    check_against_eager(model, mean_square, regression((8, 6), (1,), rows=3))


@pytest.mark.parametrize(
    ("layer", "instead"),
    [
        (nn.Conv3d(2, 2, 2), "nn.Conv2d"),
        (nn.MaxPool3d(2), "amax"),
        (nn.Upsample(3, mode="trilinear"), "two dimensions"),
    ],
    ids=["conv", "pool", "upsample"],
)
def test_images_of_three_dimensions_are_refused_with_what_to_use(layer: nn.Module, instead: str) -> None:
    with pytest.raises(CaptureError, match=instead):
        capture(Side(layer), mean_square, SGD(1.0), regression((2, 4, 4, 4), (1,)), 2)
