"""What names say of columns that stand beside each other, as labs write them."""

import numpy as np
import pytest
from support.curves import columns, labels, words

from utils.errors import UserError

PULSES = np.arange(40)
UP = np.round(10 + 40 * (1 - np.exp(-3 * PULSES / 39)) / (1 - np.exp(-3)), 3)
DOWN = 60 - UP


def side_by_side(names: str, *curves) -> str:
    """The text of a file with a column of pulses and a column for each curve."""
    return columns(PULSES, *map(words, curves), head=f"Pulse,{names}")


# Branches


@pytest.mark.parametrize(
    "names",
    ["P1,D1,P2,D2", "P-1,D-1,P-2,D-2", "Write 1,Erase 1,Write 2,Erase 2", "Pgm1,Ers1,Pgm2,Ers2"],
)
def test_names_that_tell_branches_beside_each_other(names, reads):
    ramps = reads(side_by_side(names, UP, DOWN, UP, DOWN)).ramps
    assert [ramp.branch for ramp in ramps] == ["rising", "falling"] * 2
    assert {ramp.device for ramp in ramps} == {"1"}


@pytest.mark.parametrize(
    "names", ["Potentialisation,Dépression", "Verst.,Depr.", "Write,Erase", "P,D", "Verst.,LTD"]
)
def test_words_of_branches(names, reads):
    ramps = reads(side_by_side(names, UP, DOWN)).ramps
    assert [ramp.branch for ramp in ramps] == ["rising", "falling"]


def test_d1_alone_is_a_device(reads):
    assert labels(reads(side_by_side("D1,D2", UP, UP + 1))) == [("D1", 1), ("D2", 1)]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("Cycle 1,Cycle 2,last", r"column 4 \(last\) has no .* --columns 2 3 4 .* --columns 2 3 if"),
        ("Dev1,Dev2,ref", r"column 4 \(ref\) has no known name, but its numbers run like those of"),
        (",LTD,LTD", "column 2 has no .* --columns 2 3 4 if it is a response, too, or --columns 3"),
    ],
)
def test_a_column_that_looks_like_a_response_is_asked_for(names, told, reads):
    text = side_by_side(names, UP, UP + 1, UP + 2)
    with pytest.raises(UserError, match=told):
        reads(text)
    assert len(reads(text, columns=["2-4"]).ramps) == 3
    assert len(reads(text, columns=["2-3"]).ramps) == 2


@pytest.mark.parametrize(
    "other", [0 * UP + 20, 100 * UP, UP + 100, np.linspace(10, 50, 40) + 30 * (-1.0) ** PULSES]
)
def test_a_column_that_looks_like_no_response_is_left_out(other, reads):
    measurement = reads(side_by_side("LTP,foo", UP, other))
    assert len(measurement.ramps) == 1
