"""exp, log, tanh, erf: edge cases, accuracy, the same bits from NumPy and torch, known answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lockstep.numerics import transcendental

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

import make_vectors_transcendental as vectors  # noqa: E402
import measure_transcendental_ulp as measurement  # noqa: E402

NAMES = tuple(transcendental.FUNCTIONS)
MEASURED = json.loads((ROOT / "docs" / "data" / "transcendental_ulp.json").read_text())
BOUND = 2.0
"""Ulps the specification allows."""

INF = float("inf")
NAN = float("nan")
TINY = 2.0**-149
EDGES = {
    "exp": [(-INF, 0.0), (INF, INF), (NAN, NAN), (0.0, 1.0), (-0.0, 1.0), (89.0, INF), (-104.0, 0.0), (TINY, 1.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (-TINY, NAN), (-1.0, NAN), (-INF, NAN), (INF, INF), (NAN, NAN), (1.0, 0.0)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (20.0, 1.0), (TINY, TINY), (-TINY, -TINY)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (5.0, 1.0), (TINY, TINY), (-TINY, -TINY)],
}


def numpy_function(name: str):
    return getattr(transcendental, f"{name}_numpy")


def torch_function(name: str):
    return getattr(transcendental, f"{name}_torch")


def bits(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, dtype=np.float32).view(np.uint32)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Some 400,000 inputs: each exponent with either sign equally often, and the range where things happen."""
    rng = np.random.default_rng(11)
    exponents = np.repeat(np.arange(256, dtype=np.uint32), 400)
    mantissas = rng.integers(0, 1 << 23, exponents.size, dtype=np.uint32)
    positive = (exponents << np.uint32(23)) | mantissas
    stratified = np.concatenate([positive, positive | np.uint32(1 << 31)]).view(np.float32)
    ranges = [rng.uniform(-s, s, 65_000).astype(np.float32) for s in (1.5, 10, 105)]
    return np.concatenate([stratified, *ranges])


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
def test_edge_cases_give_their_exact_results(name: str) -> None:
    inputs, wanted = (np.array(column, dtype=np.float32) for column in zip(*EDGES[name], strict=True))
    assert bits(numpy_function(name)(inputs)).tolist() == bits(wanted).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_any_nan_gives_the_canonical_nan(name: str) -> None:
    nans = np.array([0x7F800001, 0x7FC00000, 0x7FC00001, 0x7FFFFFFF, 0xFF800001, 0xFFC00000, 0xFFFFFFFF], np.uint32)
    assert set(bits(numpy_function(name)(nans.view(np.float32))).tolist()) == {0x7FC00000}
    from_torch = torch_function(name)(torch.from_numpy(nans.view(np.float32)))
    assert set(bits(from_torch.numpy()).tolist()) == {0x7FC00000}


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_within_the_measured_worst_error(name: str, samples: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        true = measurement.REFERENCES[name](samples.astype(np.float64))
    errors = measurement.ulp_errors(numpy_function(name)(samples), true)
    assert errors.max() <= MEASURED[name]["worst_ulp"] + 1e-6 <= BOUND


@pytest.mark.parametrize("name", NAMES)
def test_measured_worst_case_is_what_60_digits_say(name: str) -> None:
    at, output = (int(MEASURED[name][key], 16) for key in ("worst_input_bits", "worst_output_bits"))
    assert bits(numpy_function(name)(np.array([at], np.uint32).view(np.float32))).tolist() == [output]
    assert measurement.exact_ulp_error(name, at, output) == pytest.approx(MEASURED[name]["worst_ulp"], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_torch_gives_the_bits_of_numpy(name: str, samples: np.ndarray, threads: int) -> None:
    wanted = bits(numpy_function(name)(samples))
    assert np.array_equal(bits(torch_function(name)(torch.from_numpy(samples)).numpy()), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_primitives_for_compilers_give_the_bits_of_numpy(name: str, samples: np.ndarray) -> None:
    found = transcendental.FUNCTIONS[name](transcendental.CompiledTorchPrimitives(), torch.from_numpy(samples))
    assert np.array_equal(bits(found.numpy()), bits(numpy_function(name)(samples)))


@pytest.mark.parametrize("name", NAMES)
def test_shape_and_strides_do_not_change_a_bit(name: str, samples: np.ndarray) -> None:
    table = samples[:60_000].reshape(200, 300)
    wanted = bits(numpy_function(name)(table))
    assert wanted.shape == table.shape
    assert np.array_equal(bits(numpy_function(name)(table.T)), wanted.T)
    assert np.array_equal(bits(torch_function(name)(torch.from_numpy(table).T).numpy()), wanted.T)
    assert bits(numpy_function(name)(np.float32(0.5))).shape == ()
    assert torch_function(name)(torch.tensor(0.5)).shape == ()


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions_are_odd_to_the_bit(name: str, samples: np.ndarray) -> None:
    numbers = samples[~np.isnan(samples)]
    function = numpy_function(name)
    assert np.array_equal(bits(function(-numbers)), bits(function(numbers)) ^ np.uint32(1 << 31))


@pytest.mark.parametrize("name", NAMES)
def test_committed_vectors_are_the_answers_of_both_back_ends(name: str) -> None:
    known = json.loads((ROOT / vectors.PATH).read_text())[name]
    inputs, outputs = (np.array([int(word, 16) for word in known[key]], np.uint32) for key in ("inputs", "outputs"))
    assert inputs.size >= 300
    assert np.array_equal(bits(numpy_function(name)(inputs.view(np.float32))), outputs)
    assert np.array_equal(bits(torch_function(name)(torch.from_numpy(inputs.view(np.float32))).numpy()), outputs)


def test_vector_file_is_what_its_script_writes() -> None:
    assert (ROOT / vectors.PATH).read_text() == vectors.files()[vectors.PATH], (
        "run scripts/make_vectors_transcendental.py"
    )
