"""Image files: what is read, and hostile or damaged files refused with a sentence."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from lockstep.data import DataError, digits, fashion_mnist, images, mnist_5k
from lockstep.data.idx import read_idx
from lockstep.data.packaged import packaged_table

SHAPE = (3, 4, 5)


def idx(shape: tuple[int, ...], data: bytes, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + data


DATA = bytes(range(60))
WHOLE = idx(SHAPE, DATA)
PACKED = gzip.compress(WHOLE, mtime=0)

BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it begins with nothing"),
    "no gzip": (WHOLE, "cannot be read as gzip"),
    "cut gzip": (PACKED[:-12], "cannot be read as gzip"),
    "checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "cannot be read as gzip"),
    "damaged deflate": (PACKED[:12] + b"\xff" * 20 + PACKED[32:], "cannot be read as gzip"),
    "cut header": (gzip.compress(WHOLE[:7]), "does not begin as an IDX file of 3 x 4 x 5 bytes"),
    "cut data": (gzip.compress(WHOLE[:-1]), "only 59 of the 60 bytes"),
    "more data": (gzip.compress(WHOLE + b"\0"), "more than the 60 bytes"),
    "floats": (gzip.compress(idx(SHAPE, DATA, kind=13)), "type 0x0d, not bytes"),
    "other rank": (gzip.compress(idx((3, 20), DATA)), "it has rank 2"),
    "huge sizes": (gzip.compress(idx((2**31, 2**31, 2**31), DATA)), "begins with the sizes 2147483648, 2147483648"),
    "no idx": (gzip.compress(b"PK\x03\x04" + bytes(100)), "it begins with 50 4b 03 04"),
    "bomb": (gzip.compress(WHOLE + bytes(30_000_000)), "more than the 60 bytes"),
}


def test_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(PACKED)
    np.testing.assert_array_equal(read_idx(file, SHAPE), np.arange(60, dtype=np.uint8).reshape(SHAPE))


@pytest.mark.parametrize("name", BAD)
def test_file_that_is_not_what_was_expected_is_refused(tmp_path: Path, name: str) -> None:
    content, said = BAD[name]
    file = tmp_path / "x.gz"
    file.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_idx(file, SHAPE)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)
    assert str(refused.value).endswith(".")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        fashion_mnist(tmp_path)


def write_fashion(folder: Path, largest_label: int = 9) -> None:
    """Files of Fashion-MNIST's names and sizes whose images are their own numbers."""
    for part, rows in (("train", 60_000), ("t10k", 10_000)):
        labels = (np.arange(rows) % 10).astype(np.uint8)
        labels[labels == 9] = largest_label
        pixels = np.zeros((rows, 28, 28), np.uint8)
        pixels[:, 0, 0], pixels[:, 0, 1] = np.arange(rows) % 256, np.arange(rows) // 256
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            data = gzip.compress(idx(array.shape, array.tobytes()), 1)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(data)


def test_fashion_mnist_keeps_images_with_their_labels_and_parts_apart(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    splits = images(tmp_path)
    assert [part.inputs.shape for part in splits] == [(rows, 1, 28, 28) for rows in (55_000, 5_000, 10_000)]
    numbers = [part.inputs[:, 0, 0, 0] + 256 * part.inputs[:, 0, 0, 1].astype(int) for part in splits]
    assert len(set(numbers[0]) | set(numbers[1])) == 60_000
    for part, own in zip(splits, numbers, strict=True):
        np.testing.assert_array_equal(part.targets, own % 10)
        assert part.scale == 1 / 255


def test_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    write_fashion(tmp_path, largest_label=10)
    with pytest.raises(DataError, match="has the label 10; there are 10 classes"):
        fashion_mnist(tmp_path)


def test_without_fashion_mnist_a_part_of_mnist_is_taken(tmp_path: Path) -> None:
    splits = images(tmp_path / "nowhere")
    assert [part.inputs.shape for part in splits] == [(rows, 1, 28, 28) for rows in (4_000, 500, 500)]
    again = mnist_5k()
    for part, same in zip(splits, again, strict=True):
        np.testing.assert_array_equal(part.inputs, same.inputs)
        np.testing.assert_array_equal(part.targets, same.targets)
    assert sum(np.bincount(part.targets, minlength=10) for part in splits).tolist() == [500] * 10
    rows = [row.tobytes() for part in splits for row in part.inputs]
    assert len(set(rows)) == 5_000


def test_digits_and_mnist_are_the_same_everywhere() -> None:
    for parts, wanted in ((digits(), "cc169ca11db54aad"), (mnist_5k(), "0c58891dfa38834b")):
        content = b"".join(part.inputs.tobytes() + part.targets.tobytes() for part in parts)
        assert hashlib.sha256(content).hexdigest()[:16] == wanted


@pytest.mark.parametrize(
    ("package", "file", "shape", "said"),
    [
        ("no_such_package", "x.csv.gz", (1, 1), "is not installed"),
        ("sklearn", "datasets/data/no.csv.gz", (1, 1), "cannot be read as a table"),
        ("sklearn", "__init__.py", (1, 1), "cannot be read as a table"),
        ("sklearn", "datasets/data/digits.csv.gz", (1797, 64), "another version was expected"),
    ],
    ids=["package", "file", "no gzip", "shape"],
)
def test_packaged_table_that_is_not_there_is_refused(
    package: str, file: str, shape: tuple[int, int], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        packaged_table(package, file, shape)
