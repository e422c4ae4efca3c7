"""Formulas that are written down as C++: by hand, and as exact as PyTorch computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from support.devices import RESPONSES

from devices.responses import FAMILIES, Response, exp, log
from models import kernels
from models.kernels.expressions import Expression, statements
from models.kernels.formulas import UpdateKind, constants_of, formulas
from models.sparse_update import is_available
from utils.compute.kernel_builder import function, library

ARITHMETIC = Path(kernels.__file__).with_name("arithmetic.h")


def test_statements_by_hand():
    """x occurs twice, its square too, and is written once; a number is a single-precision one."""
    x, y = Expression("x"), Expression("y")
    square = x * x
    where = torch.where(square > y, -square, 0.1)
    assert statements({"a": where, "b": (1 - square).clamp(y, x)}).splitlines() == [
        "    const auto v0 = x * x;",
        "    const auto v1 = v0 > y;",
        "    const auto v2 = -v0;",
        f"    const auto v3 = v1 ? v2 : all({float.fromhex('0x1.99999ap-4').hex()}f);",
        "    const auto v4 = all(0x1.0000000000000p+0f) - v0;",
        "    const auto v5 = clamped(v4, y, x);",
        "    a = v3;",
        "    b = v5;",
    ]


def test_what_has_no_words_in_cpp_is_refused():
    with pytest.raises(NotImplementedError, match="maximum"):
        torch.maximum(Expression("x"), Expression("y"))
    for refused in (lambda x: x.sinh(), lambda x: x.clamp(min=1), lambda x: x.clamp(0, out=x)):
        with pytest.raises((NotImplementedError, TypeError)):
            refused(Expression("x"))


def test_each_family_has_its_numbers_and_its_response():
    assert constants_of("exponential") == ["amplitude", "decay", "offset", "pulses_max"]
    assert constants_of("table")[:3] == ["start", "cells_per_voltage", "cells_per_pulse"]
    for response in RESPONSES.values():
        text = formulas(UpdateKind(response.family))
        assert ("looked_up(c.tables[1], " in text) == (response.family == "table")
        assert "inline void write_pair(" in text
        assert "physical" not in text
        assert "c.physical > 0.0f ?" in formulas(UpdateKind(response.family, physical=True))


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """C++ of one vector, called with a tensor."""
    folder = tmp_path_factory.mktemp("kernel")

    def call(code: str, x: torch.Tensor) -> torch.Tensor:
        source = folder / f"formula{abs(hash(code))}.cpp"
        source.write_text(
            f'#include "{ARITHMETIC}"\n'
            'extern "C" void run(const float *x, float *y, int64_t n) {\n'
            f"    for (int64_t i = 0; i < n; i += LANES) store(y + i, {code}(load(x + i)));\n}}\n"
        )
        if library(source) is None:
            pytest.skip("needs a C++ compiler")
        padded = torch.cat([x, x.new_zeros(-len(x) % 16)])
        result = torch.empty_like(padded)
        function(source, "run", "ppn")(padded.data_ptr(), result.data_ptr(), len(padded))
        return result[: len(x)]

    return call


def test_the_exponential_is_exact_to_a_float(computed):
    x = torch.linspace(-87, 88, 1_000_001)
    x = torch.cat([x, torch.linspace(-1, 1, 100_001)])
    exact = x.double().exp()
    assert ((computed("exponential", x).double() - exact) / exact).abs().max() < 1.1 * 2**-23
    ends = computed("exponential", torch.tensor([0.0, -1e30, 1e30, math.nan, -math.inf]))
    assert ends[0] == 1
    assert 0 < ends[1] == ends[4] < 1e-37
    assert 1e38 < ends[2] < math.inf
    assert ends[3].isnan()


def test_magnitudes_are_torchs(computed):
    x = torch.tensor([-0.0, 0.0, -1.5, 2.0, -math.inf, math.nan])
    actual = computed("absolute", x)
    assert torch.equal(actual[:5], x[:5].abs())
    assert not actual[:2].signbit().any()
    assert actual[5].isnan()


def test_a_family_that_has_no_words_in_cpp_has_no_kernel(monkeypatch):
    """One with nothing but its response and its inverse, as a new one may be."""

    @dataclass(frozen=True)
    class Logarithmic(Response):
        family: ClassVar[str] = "logarithmic of the test"

        size: float
        pulses_max: float

        def response(self, pulses):
            return -self.size * log(pulses + 1)

        def inverse(self, voltage):
            return exp(-voltage / self.size) - 1

    try:
        with pytest.raises(NotImplementedError, match="log cannot be printed as C"):
            formulas(UpdateKind(Logarithmic.family))
        assert not is_available(UpdateKind(Logarithmic.family), torch.device("cpu"))
    finally:
        del FAMILIES[Logarithmic.family]


def test_the_devices_of_the_tests_are_of_all_families():
    assert {response.family for response in RESPONSES.values()} == set(FAMILIES)
