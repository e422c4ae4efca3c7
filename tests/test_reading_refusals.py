"""What is no measured ramp is refused in one line, which names file, line and column."""

import random
import re
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils.errors import UserError
from utils.measured.checks import flaw, trend
from utils.measured.options import ReadingOptions
from utils.measured.reading import read
from utils.measured.turns import cut_at_turns, turning_point

LINEAR = [f"{2.742 - 0.021 * k:.3f}" for k in range(12)]
CURVED = [f"{1.530 * np.exp(-k / 9.741) + 0.750:.4f}" for k in range(12)]
TWO = [f"{a},{b}" for a, b in zip(LINEAR, CURVED, strict=True)]
SEMICOLONS = [line.replace(",", ";") for line in TWO]
NUMBERED = [f"{k},{value}" for k, value in enumerate(LINEAR)]
RNG = np.random.default_rng(0)
NOISE = [f"{1 + 0.05 * value:.4f}" for value in RNG.standard_normal(100)]
STEPS = np.diff(np.linspace(0, 1, 101) + 0.03 * RNG.standard_normal(101))


def changed(lines: list[str], index: int, line: str) -> list[str]:
    return [*lines[:index], line, *lines[index + 1 :]]


def refusal(path, **how) -> str:
    """The one line that refuses a file; nothing may be written beside it."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    with pytest.raises(UserError) as caught:
        read(path, ReadingOptions(**how))
    message = str(caught.value)
    assert "\n" not in message
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else []) == before
    return message


@pytest.fixture
def refused(tmp_path):
    def call(content: list[str] | bytes, **how) -> str:
        path = tmp_path / "my-curve.csv"
        if isinstance(content, list):
            content = "\n".join(content).encode()
        path.write_bytes(content)
        return refusal(path, **how)

    return call


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
        (
            ["pulse,G", *changed(NUMBERED, 5, ",2.6")],
            "line 7, column 1 (pulse)",
            "the number of pulses is missing",
        ),
        (["pulse,G", *changed(NUMBERED, 0, "-1,3")], "line 2, column 1 (pulse)", "negative"),
        (
            ["pulse", *map(str, range(12))],
            "line 2, column 1 (pulse)",
            "no other column holds values",
        ),
        # no numbers
        (["a,b", "c,d"], "lines 1 to 2: no column holds numbers", ""),
        ([",,,", ",,"], "lines 1 to 2: no column holds numbers", ""),
        # lines whose gaps nobody can see
        ([line.replace(",", " ") for line in TWO[:8]] + LINEAR[8:], "line 9, column 2", "spaces"),
        (
            ["device,pulse,G", *(f"{'x' * (k != 5)},{k},{9 - k}" for k in range(9))],
            "line 7, column 1 (device)",
            "empty",
        ),
    ],
)
def test_file_line_and_column_are_named(refused, lines, place, problem):
    message = refused(lines)
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


def test_workbooks_of_old_formats_and_broken_ones(tmp_path):
    path = tmp_path / "my-curve.xlsx"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    assert "the workbook cannot be read" in refusal(path)
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500))
    assert "save it as XLSX or CSV" in refusal(path)


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in refusal(tmp_path / "nothing.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / ("long" * 100))


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (dict(columns=["7"]), "--columns 7: .* has columns 1 to 3"),
        (dict(columns=["3-2"]), "--columns 3-2"),
        (dict(columns=["Q"]), "--columns Q: .* has no such column; it has pulse, D1, D2"),
        (dict(pulses="Q"), "--pulses Q: .* has no such column"),
        (dict(pulses="2", columns=["1-2"]), "--pulses 2"),
        (dict(pulses="D1", layout="rows"), "--pulses D1: in a table of rows"),
        (dict(branches=["rising"]), "--branches rising: every ramp is falling"),
        (dict(sheet="2"), "--sheet 2: .* is text"),
        (dict(reads=5), r"number of readings, 12, is not a multiple of --reads 5"),
        (
            dict(split=50),
            r"line 13, column 2 \(D1\): the number of readings, 12, is below --split 50",
        ),
        (dict(split="turns"), r"line 2, column 2 \(D1\): the curve does not turn"),
        (dict(layout="rows"), "only 3 readings"),
    ],
)
def test_flags_that_do_not_fit_the_file(refused, how, problem):
    lines = [f"{k},{line}" for k, line in enumerate(TWO)]
    assert re.search(problem, refused(["pulse,D1,D2", *lines], **how))


def test_flags_that_do_not_fit_other_files(refused):
    long = ["device,pulse,G", *(f"x,{line}" for line in NUMBERED)]
    assert "--devices one: a long table" in refused(long, devices="one")
    message = refused(["R (Ohm)", *changed(LINEAR, 3, "-2.5")], resistance=True)
    assert "line 5, column 1 (R): --resistance: -2.5 is not positive" in message
    short = [line.replace(",", ";") for line in NUMBERED[:8]] + [f"{k};" for k in range(8, 12)]
    message = refused(short, decimal="comma")
    assert "line 1, column 2: mixed separators: '2.742' is a number with a decimal point" in message


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (
            dict(layout="table"),
            "--layout table: unknown; the valid ones: auto, columns, rows, long",
        ),
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
)
def test_options_are_validated_before_a_file_is_opened(how, problem):
    with pytest.raises(UserError) as caught:
        ReadingOptions(**how)
    assert str(caught.value).startswith(problem)


def test_damaged_files_give_ramps_or_one_line(tmp_path):
    """2000 files with bytes changed, taken out and put in: never another exception."""
    rng = random.Random(0)
    kinds = ["\n".join(lines).encode() for lines in (TWO, SEMICOLONS, ["pulse,G", *NUMBERED])]
    kinds += ["\n".join(f"d{k};{';'.join(LINEAR)}" for k in range(3)).encode("utf-16")]
    kinds += ["\n".join(["device,pulse,G"] + [f"x,{line}" for line in NUMBERED]).encode()]
    hows = [{}, dict(layout="rows"), dict(layout="long"), dict(split="turns"), dict(split=6)]
    read_well, refusals = 0, []
    for _ in range(2000):
        content = bytearray(rng.choice(kinds))
        for _ in range(rng.choice([1, 2, 5])):
            at = rng.randrange(len(content))
            content[at : at + rng.choice([0, 1, 3])] = bytes(
                rng.choice(b'0123456789.,;\t \n\r"-+eE#aN\x00\xff')
                for _ in range(rng.choice([0, 1]))
            )
        path = tmp_path / "damaged.csv"
        path.write_bytes(content)
        try:
            measurement = read(path, ReadingOptions(**rng.choice(hows)))
        except UserError as error:
            refusals.append(str(error))
            continue
        read_well += 1
        for ramp in measurement.ramps:
            assert len(ramp.values) == len(ramp.pulses) >= 5
            assert np.isfinite(ramp.values).all()
            assert (np.diff(ramp.pulses) > 0).all()
    assert 200 < read_well < 1800
    assert not any("\n" in refusal for refusal in refusals)


# Against simulated ramps: exponential ones of any nonlinearity, with read and write noise


def simulated(rng, n, nonlinearity, read_noise, write_noise=0.0) -> np.ndarray:
    """A ramp from 1 to 0 of n readings; write_noise: after all pulses."""
    x = np.linspace(0, 1, n)
    falling = np.exp(-nonlinearity * x) - np.exp(-nonlinearity) if nonlinearity else 1 - x
    walk = np.cumsum(rng.standard_normal(n)) * write_noise / np.sqrt(n)
    return falling / falling[0] + walk + read_noise * rng.standard_normal(n)


def why_not(values: np.ndarray) -> str | None:
    if turning_point(values) is not None:
        return "turns"
    found = trend(np.arange(len(values)), values)
    return flaw(values, found, found.read_noise)


@pytest.mark.parametrize("n", [20, 60, 200, 1000])
@pytest.mark.parametrize("nonlinearity", [-5, 0, 2.77, 10])
def test_simulated_ramps_are_never_refused(n, nonlinearity):
    """Read noise up to 6 % of the range, as that of real devices, also coarsely rounded."""
    rng = np.random.default_rng(n)
    for read_noise, write_noise, rounding in (
        (0.0, 0.0, None),
        (0.06, 0.0, None),
        (0.05, 0.1, None),
        (0.0, 0.0, 0.1),
        (0.01, 0.0, 0.05),
    ):
        for _ in range(20):
            values = simulated(rng, n, nonlinearity, read_noise, write_noise)
            if rounding:
                values = np.round(values / rounding) * rounding
            for shifted in (values, values - 0.5, 1e-9 * values, -values):
                assert why_not(shifted) is None


@pytest.mark.parametrize("n", [60, 200, 1000])
def test_simulated_step_sizes_are_told(n):
    """The changes of noisy linear and exponential responses, and noisy steps without read noise."""
    rng = np.random.default_rng(n)
    told = []
    for _ in range(50):
        told.append(why_not(np.diff(simulated(rng, n + 1, 0, 0.03))))
        told.append(why_not(np.diff(simulated(rng, n + 1, 2.77, 0.05))))
        told.append(why_not(0.02 + 0.01 * rng.standard_normal(n)))
    assert all(told)
    assert np.mean(["step sizes" in why for why in told]) > 0.9


@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("level", [0.0, 1.0, -3.0])
def test_pure_noise_is_no_ramp(n, level):
    """Of 100 flat curves with read noise alone 97 are refused at the least; that noise is found."""
    rng = np.random.default_rng(n)
    curves = level + 0.01 * rng.standard_normal((100, n))
    refused = [why for why in map(why_not, curves) if why]
    assert len(refused) >= 97
    assert not any("step sizes" in why for why in refused)
    noises = [trend(np.arange(n), curve).read_noise for curve in curves]
    assert np.median(noises) == pytest.approx(0.01, rel=3 / np.sqrt(n))


@pytest.mark.parametrize("nonlinearity", [0, 2.77])
@pytest.mark.parametrize("read_noise", [0.0, 0.01, 0.06])
def test_turns_of_noisy_curves_are_found(nonlinearity, read_noise):
    """Seven ramps of 100 readings, up and down, are found, and end where noise lets one see it."""
    rng = np.random.default_rng(5)
    down = simulated(rng, 100, nonlinearity, 0)
    up = 1 - down
    clean = np.concatenate([down, up[1:], down[1:], up[1:], down[1:], up[1:], down[1:]])
    ends = 99 * np.arange(1, 8)
    off = []
    for _ in range(10):
        parts, resets = cut_at_turns(clean + read_noise * rng.standard_normal(len(clean)))
        assert (len(parts), resets) == (7, 0)
        off.append([part.stop - 1 for part in parts] - ends)
        assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert np.sqrt(np.mean(np.square(off))) <= (read_noise > 0) + 60 * read_noise
    assert np.abs(off).max() <= 3 * (read_noise > 0) + 250 * read_noise


# Any table of numbers

NAMES = ["", "pulse", "Step", "n", "G (uS)", "I (A)", "V (V)", "t (s)", "device", "cycle", "G_LTP"]
NAMES += ["G_LTD", "read 1", "D1", "D2", "foo", "branch", "R (ohm)"]


@st.composite
def tables(draw) -> str:
    """The text of a table of counters, ramps, trains, walks and noise, under any names."""
    n = draw(st.integers(1, 50))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = np.arange(n)
    kinds = [x, x + 1, x[::-1], x % 7, x // 3, np.abs(x % 20 - 10), np.exp(-x / 5), np.ones(n)]
    kinds += [1 - np.exp(-x / 5), rng.normal(size=n), np.cumsum(rng.normal(size=n))]
    chosen = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=4))
    noise = draw(st.sampled_from([0, 0.01])) * rng.normal(size=n)
    scale = draw(st.sampled_from([1, -1, 1e-6, 1e30]))
    columns = [kinds[k] + (k > 5) * noise for k in chosen]
    rows = [",".join(f"{scale ** (k > 5) * c[i]:.6g}" for k, c in zip(chosen, columns, strict=True))
            for i in range(n)]  # fmt: skip
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(chosen), max_size=len(chosen)))
    return "\n".join([*[",".join(names)] * draw(st.booleans()), *rows])


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=tables(),
    how=st.sampled_from(
        [{}, {}, dict(split="turns"), dict(split=6), dict(layout="rows"), dict(pulses="none")]
    ),
)
def test_any_table_is_refused_in_one_line_or_gives_each_reading_once(tmp_path, text, how):
    path = tmp_path / "any.csv"
    path.write_text(text + "\n")
    try:
        measurement = read(path, ReadingOptions(**how))
    except UserError as caught:
        message = str(caught)
    else:
        message = ""
    assert "\n" not in message
    if message:
        return
    for ramp in measurement.ramps:
        assert len(ramp.values) == len(ramp.pulses) == len(ramp.lines) >= 5
        assert np.isfinite(ramp.values).all()
        assert (np.diff(ramp.pulses) > 0).all()
        assert ramp.pulses[0] >= 0
    if len(measurement.understood.query("role == 'response'")) == 1 and measurement.reads == 1:
        lines = [line for ramp in measurement.ramps for line in ramp.lines.tolist()]
        if "columns" not in measurement.understood.query("role == 'response'").column.iloc[0]:
            assert len(set(lines)) == len(lines)
