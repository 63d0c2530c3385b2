"""Random flips and crops of images, drawn inside the program: nobody but the task decides what a step sees.

Draws are ``random_bits`` at a site of their own with the step as counter: words [3, samples], of which a sample's
are (flip, row, column). They are made on the stored pixels, before scale and shift.
"""

from __future__ import annotations

from dataclasses import dataclass

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.infer import ProgramError

MAX_PADDING = 64
_OUTSIDE = -(1 << 30)
"""Added to a place, once or twice, it gives a negative number, where ``gather`` finds zeros."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What happens to every image of a training step.

    ``padding``: a frame of that many zeros is put around the image, and a window of the image's own size is cut out of
    it, each of its ``(2 padding + 1)**2`` places as likely as any other, to 1 in 2**24. ``flip``: then left and right
    change places in half of the images.
    """

    flip: bool = False
    padding: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.padding <= MAX_PADDING:
            raise ProgramError(f"A padding of {self.padding} pixels; it is 0 to {MAX_PADDING}.")

    def emit(self, b: Builder, images: Value) -> Value:
        """Images [N, C, H, W] of any dtype -> the same shape, augmented."""
        if len(images.shape) != 4:
            raise ProgramError(
                f"Flips and crops need inputs of shape [rows, C, H, W], not {list(images.shape)} a batch."
            )
        if not (self.flip or self.padding):
            return images
        samples, channels, height, width = images.shape
        if samples * channels * height * width >= -_OUTSIDE:
            raise ProgramError(f"A batch of shape {list(images.shape)} is too large to be flipped or cropped.")
        words = b.random_bits((3, samples))
        flips, downs, rights = (b.reshape(b.slice(words, 0, draw, 1), (samples, 1)) for draw in range(3))
        row = self._places(b, downs, samples, height)
        column = self._places(b, rights, samples, width, b.bit_and(flips, 1) if self.flip else None)
        first = b.imul(b.iota((samples, 1)), channels * height * width)
        row_start = b.iadd(b.expand(first, row.shape), b.imul(row, width))
        row_start = b.select(b.ult(row, height), row_start, _OUTSIDE)
        column = b.select(b.ult(column, width), column, _OUTSIDE)
        plane = (samples, height, width)
        place = b.iadd(
            b.expand(b.reshape(row_start, (samples, height, 1)), plane),
            b.expand(b.reshape(column, (samples, 1, width)), plane),
        )
        if channels > 1:
            channel = b.imul(b.iota((channels, 1, 1)), height * width)
            place = b.expand(b.reshape(place, (samples, 1, height, width)), images.shape)
            place = b.iadd(place, b.expand(channel, images.shape))
        pixels = b.gather(b.reshape(images, (samples * channels * height * width,)), place)
        return b.reshape(pixels, images.shape)

    def _places(self, b: Builder, word: Value, samples: int, extent: int, flip: Value | None = None) -> Value:
        """i32 [samples, extent]: where on an axis of the image every pixel comes from; outside it is the frame."""
        shape = (samples, extent)
        place = b.expand(b.iota((1, extent)), shape)
        if flip is not None:
            place = b.select(b.expand(flip, shape), b.isub(extent - 1, place), place)
        if self.padding:
            moved = b.isub(b.umod(word, 2 * self.padding + 1), self.padding)
            place = b.iadd(place, b.expand(moved, shape))
        return place
