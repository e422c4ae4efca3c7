"""Names, units and groups of columns in the lines above the numbers, and text beside these."""

import pytest
from support.curves import COUNT, DOWN, PAIR, UP, assert_ramps, ramps_in_words, table


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("Pulse #,G (uS)", "uS"),
        ("Pulse number;I [A]", "A"),
        ("n\tR / kΩ", "kΩ"),
        ("n\tR / k\N{OHM SIGN}", "kΩ"),
        ("pulses   Hall voltage (a.u.)", "a.u."),
        ("pulse G(µS)", "µS"),
        ("# pulse,G (nS)", "nS"),
        ("# pulse V(mV)", "mV"),
        ("pulse,G", ""),
        ("pulse,dev (1)", ""),
        ("Pulse,Hall voltage,Comment\n,mV,", "mV"),
        ("Pulse number,Conductance\n#,nS\n,LTP", "nS"),
        ("Pulse number,Conductance\n#,nS", "nS"),
        ("Pulse number,Conductance\nN,nS\nN,Device 3", "nS"),
        ("Pulse number,Conductance\n,(10\\+(-9) S)", "10^-9 S"),
        ("Pulse number,Conductance\n,\\g(m)S", "µS"),
        ('Pulse number,"Conductance, nS"', "nS"),
        ("Pulse number,Conductance_nS", "nS"),
        ("Pulse number,G nS", "nS"),
        ('Pulse number,"G, µS"', "µS"),
        ("Pulse number,R_kOhm", "kOhm"),
        # a comment above the names is no line of units
        ("# nS,#\nPulse number,G", ""),
        ("#\nPulse number,G", ""),
        ("# pulses at 1 V,nS\nPulse number,G", ""),
        ("#,nS\nPulse number,G", ""),
        # brackets that hold no unit
        ("pulse(s),R_xy (mΩ)", "mΩ"),
        ("Puls(e),R_xy (mΩ)", "mΩ"),
        ("Impulsion(s),R_xy (mΩ)", "mΩ"),
        ("Pulse number (a.u.),Id (A)", "A"),
        ("Pulse number (LTP/LTD),G (nS)", "nS"),
        ("Pulse,LTP (1st)", ""),
        ("Pulse number (1 s each);Rxy (mΩ)", "mΩ"),
    ],
)
def test_names_and_units_above_the_numbers(head, unit, reads):
    separator = next(mark for mark in (",", ";", "\t", "   ", " ") if mark in head.splitlines()[-1])
    measurement = reads(table(head, COUNT, UP, separator=separator))
    assert measurement.unit == unit
    assert measurement.understood.role.tolist()[:2] == ["pulses", "response"]
    assert_ramps(measurement, UP, pulses=COUNT)


@pytest.mark.parametrize(
    "lines", ["Units,,mS\nComments,,LTP\nF(x)=,,", "Units,#,mS\nComments,,", "Units,,mS"]
)
def test_the_first_column_may_say_what_the_lines_of_the_header_are(lines, reads):
    measurement = reads(table(f"Long Name,Pulse number,G\n{lines}", [""] * 40, COUNT, UP))
    assert measurement.unit == "mS"
    assert measurement.understood.column.tolist()[0] == "column 2 (Pulse number)"


def test_comments_beside_the_numbers(reads):
    comments = ["", "", "V = 1.2 V", "device W3"]
    assert_ramps(reads(table("Pulse,G (nS),Remarks", COUNT, UP, comments)), UP, pulses=COUNT)


def test_lines_above_the_names_may_hold_numbers(reads):
    """As LabVIEW writes them, in an empty first column of the numbers."""
    head = "Separator\tTab\nChannels\t2\nX0\t0.0\nX_Value\tG_LTP\tG_LTD"
    numbers = table(None, [""] * 40, UP, DOWN, separator="\t").replace(".", ",")
    measurement = reads(f"{head}\n{numbers}")
    assert ramps_in_words(measurement) == PAIR
    assert_ramps(measurement, UP, DOWN, pulses=COUNT)


def test_blocks_of_a_source_measure_unit(reads):
    """Each DataName begins a ramp; the lines above it are the instrument's own."""
    head = "SetupTitle, Pulses\nTestParameter, Channel.Unit, SMU1\nDimension1, 40, 40\n"
    up, down = (
        table("DataName, pulse, Id", ["DataValue"] * 40, COUNT, curve, separator=", ")
        for curve in (UP, DOWN)
    )
    measurement = reads(head + up)
    assert_ramps(measurement, UP, pulses=COUNT)
    assert measurement.left_out == ("3 lines of the instrument's header",)
    assert_ramps(reads(head + up + head + down), UP, DOWN, pulses=COUNT)
    assert ramps_in_words(reads(head + up + head + up)) == "1.1 rising, 1.2 rising"


def test_lines_above_and_columns_of_text_beside_the_numbers(reads):
    head = "Instrument,2450\nSerial,0413\n\nIndex,Reading,Unit,Time"
    clock = [f"12:00:{k:02d}" for k in COUNT]
    text = table(head, COUNT + 1, UP, ["A"] * 40, clock)
    measurement = reads(text + "\nend of data\n")
    assert_ramps(measurement, UP, pulses=COUNT + 1)
    assert measurement.left_out == (
        "lines 1 to 2: text above the numbers",
        "line 46: text below the numbers",
    )
    assert measurement.understood[["column", "role"]].values.tolist() == [
        ["column 1 (Index)", "pulses"],
        ["column 2 (Reading)", "response"],
        ["column 3 (Unit)", "text"],
        ["column 4 (Time)", "time"],
    ]


def test_a_line_of_devices_above_the_names_is_part_of_the_header(reads):
    """It stands above the first of its columns, as in a sheet with merged cells."""
    head = "Instrument 2450\n,Device 1,,Device 2,\nPulse,LTP,LTD,LTP,LTD"
    measurement = reads(table(head, COUNT, UP, DOWN, UP + 1, DOWN + 1))
    assert ramps_in_words(measurement) == ", ".join(
        f"Device {n}.1 {branch}" for n in (1, 2) for branch in ("rising", "falling")
    )
    assert measurement.left_out == ("line 1: text above the numbers",)
