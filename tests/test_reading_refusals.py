"""What is no measured ramp is refused in one line, which names file, line and column."""

import re

import numpy as np
import pytest
from support.curves import refusal

from utils.errors import UserError
from utils.measured.options import ReadingOptions

LINEAR = [f"{2.742 - 0.021 * k:.3f}" for k in range(12)]
CURVED = [f"{1.530 * np.exp(-k / 9.741) + 0.750:.4f}" for k in range(12)]
TWO = [f"{a},{b}" for a, b in zip(LINEAR, CURVED, strict=True)]
SEMICOLONS = [line.replace(",", ";") for line in TWO]
NUMBERED = [f"{k},{value}" for k, value in enumerate(LINEAR)]
THREE = ["pulse,D1,D2", *(f"{k},{line}" for k, line in enumerate(TWO))]
SHORT = [line.replace(",", ";") for line in NUMBERED[:8]] + [f"{k};" for k in range(8, 12)]
RNG = np.random.default_rng(0)
NOISE = [f"{1 + 0.05 * value:.4f}" for value in RNG.standard_normal(100)]
STEPS = np.diff(np.linspace(0, 1, 101) + 0.03 * RNG.standard_normal(101))


def changed(lines: list[str], index: int, line: str) -> list[str]:
    return [*lines[:index], line, *lines[index + 1 :]]


@pytest.mark.parametrize(
    ("lines", "place", "problem"),
    [
        # mixed separators and decimal marks
        (changed(TWO, 7, "2.5;1.4"), "line 8, column 1", "mixed separators: '2.5;1.4'"),
        (changed(TWO, 7, "2.5 1.4"), "line 8, column 1", "mixed separators"),
        (changed(TWO, 7, "2.5\t1.4"), "line 8, column 1", "mixed separators"),
        (changed(SEMICOLONS, 7, "2.5,1.4"), "line 8, column 1", "mixed separators"),
        (changed(SEMICOLONS, 7, "2,5;1,4"), "line 8, column 1", "decimal comma"),
        (changed(TWO, 7, "2,5,1,4"), "line 8, column 3", "mixed separators"),
        (changed(LINEAR, 5, "2,5"), "line 6, column 2", "mixed separators"),
        (TWO[:9] + SEMICOLONS[9:], "line 10, column 1", "mixed separators"),
        (TWO[:6] + SEMICOLONS[6:], "line 7, column 1", "mixed separators"),
        # text
        (changed(TWO, 7, "2.5,err"), "line 8, column 2", "'err' is text, but every cell of a ramp"),
        (["a,b", *changed(TWO, 0, "2.5,err")], "line 2, column 2", "'err' is not a number"),
        (changed(LINEAR, 5, "overload"), "line 6, column 1", "'overload' is text"),
        ([*TWO, "2,end"], "line 13, column 2", "'end' is text"),
        (["G", *changed(LINEAR, 5, "2.4 uS")], "line 7, column 2", "text"),
        (changed(LINEAR, 5, "9.8e37"), "line 6, column 1", "overflow"),
        (changed(LINEAR, 5, "1e400"), "line 6, column 1", "overflow"),
        # too few, too flat, too noisy, no responses
        (LINEAR[:4], "line 4, column 1", "only 4 readings"),
        (["D1,D2", *TWO[:3], *(f"{v}," for v in LINEAR[3:])], "line 4, column 2 (D2)", "only 3"),
        (["D1,D2", *(f"{v},1.5" for v in LINEAR)], "line 2, column 2 (D2)", "flat"),
        (["1.5"] * 12, "line 1, column 1", "flat"),
        (NOISE, "line 1, column 1", "less than 3 times the read noise of 0.04"),
        ([f"{value:.5f}" for value in STEPS], "line 1, column 1", "step sizes"),
        ([f"{100 * value:.5f}" for value in STEPS], "line 1, column 1", "step sizes"),
        (["G_LTD", *LINEAR, *LINEAR[::-1]], "line 13, column 1", "turns back here, at 2.511"),
        # pulses
        (["pulse,G", *changed(NUMBERED, 5, "4,2.6")], "line 7, column 1 (pulse)", "given twice"),
        (["pulse,G", *NUMBERED, *NUMBERED[4:]], "line 14, column 1 (pulse)", "pulse 4 is given"),
        (["pulse,G", *changed(NUMBERED, 5, "9.5,2.6")], "line 8, column 1 (pulse)", "must rise"),
        (["pulse,G", *changed(NUMBERED, 5, ",2.6")], "line 7, column 1 (pulse)",
         "the number of pulses is missing"),
        (["pulse,G", *changed(NUMBERED, 0, "-1,3")], "line 2, column 1 (pulse)", "negative"),
        (["pulse", *map(str, range(12))], "line 2, column 1 (pulse)",
         "no other column holds values"),
        # no numbers
        (["a,b", "c,d"], "lines 1 to 2: no column holds numbers", ""),
        ([",,,", ",,"], "lines 1 to 2: no column holds numbers", ""),
        # lines whose gaps nobody can see
        ([line.replace(",", " ") for line in TWO[:8]] + LINEAR[8:], "line 9, column 2", "spaces"),
        (["device,pulse,G", *(f"{'x' * (k != 5)},{k},{9 - k}" for k in range(9))],
         "line 7, column 1 (device)", "empty"),
    ],
)  # fmt: skip
def test_file_line_and_column_are_named(refused, lines, place, problem):
    message = refused("\n".join(lines))
    assert f"my-curve.csv: {place}" in message
    assert problem in message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        *((empty, "line 1: the file is empty") for empty in (b"", b"\n \n\t\r\n", b"\xff\xfe")),
        (b"\xef\xbb\xbf", "line 1: the file is empty"),
        (b"1\n2\n\x89PNG\r\n\x1a\n\x00\x00\x00", "line 4, character 1: the file is binary"),
        (bytes(range(1, 256)), "line 1, character 1: the file is binary"),
        (b"\xff\xfe1\x00\n\x00\x00\x00", "line 2, character 1: the file is binary"),
        (b"1\n2\n3\x81\x8d", "line 3, character 2: the file is binary"),
        (np.arange(9.0).tobytes(), "line 1, character 1: the file is binary"),
    ],
)
def test_empty_and_binary_files(refused, content, problem):
    assert f"my-curve.csv: {problem}" in refused(content)


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in refusal(tmp_path / "nothing.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / ("long" * 100))


@pytest.mark.parametrize(
    ("lines", "how", "problem"),
    [
        (THREE, dict(columns=["7"]), "--columns 7: .* has columns 1 to 3"),
        (THREE, dict(columns=["3-2"]), "--columns 3-2"),
        (THREE, dict(columns=["Q"]), "--columns Q: .* has no such column; it has pulse, D1, D2"),
        (THREE, dict(pulses="Q"), "--pulses Q: .* has no such column"),
        (THREE, dict(pulses="2", columns=["1-2"]), "--pulses 2"),
        (THREE, dict(pulses="D1", layout="rows"), "--pulses D1: in a table of rows"),
        (THREE, dict(branches=["rising"]), "--branches rising: every ramp is falling"),
        (THREE, dict(sheet="2"), "--sheet 2: .* is text"),
        (THREE, dict(reads=5), r"number of readings, 12, is not a multiple of --reads 5"),
        (THREE, dict(split=50),
         r"line 13, column 2 \(D1\): the number of readings, 12, is below --split 50"),
        (THREE, dict(split="turns"), r"line 2, column 2 \(D1\): the curve does not turn"),
        (THREE, dict(layout="rows"), "only 3 readings"),
        (["device,pulse,G", *(f"x,{line}" for line in NUMBERED)], dict(devices="one"),
         "--devices one: a long table"),
        (["R (Ohm)", *changed(LINEAR, 3, "-2.5")], dict(resistance=True),
         r"line 5, column 1 \(R\): --resistance: -2.5 is not positive"),
        (SHORT, dict(decimal="comma"),
         "line 1, column 2: mixed separators: '2.742' is a number with a decimal point"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_the_file(refused, lines, how, problem):
    assert re.search(problem, refused("\n".join(lines), **how))


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (dict(layout="table"),
         "--layout table: unknown; the valid ones: auto, columns, rows, long"),
        (dict(branches=["up"]), "--branches up: unknown"),
        (dict(reads=0), "--reads 0: must be"),
        (dict(devices="two"), "--devices two: unknown"),
        (dict(decimal=","), "--decimal ,: unknown"),
        (dict(split=4), "--split 4: a ramp has at least 5"),
        (dict(split="often"), "--split often: must be"),
        (dict(split=True), "--split True: must be"),
        (dict(split=2.5), "--split 2.5: must be"),
        (dict(pulses="2", columns=["2", "3"]), "--pulses 2: also in --columns"),
        (dict(layout="long", devices="one"), "--devices one: a long table"),
        (dict(resistance="no"), "--resistance no: must be true or false"),
    ],
)  # fmt: skip
def test_options_are_validated_before_a_file_is_opened(how, problem):
    with pytest.raises(UserError) as caught:
        ReadingOptions(**how)
    assert str(caught.value).startswith(problem)
