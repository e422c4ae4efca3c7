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
        ("Cycle 1,Cycle 2,last", r"column 4 \(last\) has no .*--columns 2 3 4 .*--columns 2 3 if"),
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


# Devices

NAMES = (
    "Synapse 1,Synapse 2,Synapse 3;Memristor 1,Memristor 2,Memristor 3;FET1,FET2,FET3;"
    "Transistor 1 (nS),Transistor 2 (nS),Transistor 3 (nS);Pad 1,Pad 2,Pad 3;Dot 1,Dot 2,Dot 3;"
    "Kontakt 1,Kontakt 2,Kontakt 3;Gerät 1,Gerät 2,Gerät 3;Struktur 1,Struktur 2,Struktur 3;"
    "Hallbar 1,Hallbar 2,Hallbar 3;Ch1,Ch2,Ch3;Kanal 1,Kanal 2,Kanal 3;Sample 1,Sample 2,Sample 3;"
    "Échantillon 1,Échantillon 2,Échantillon 3;Cellule 1,Cellule 2,Cellule 3;"
    "Chip2_R1C1,Chip2_R1C2,Chip2_R1C3;Chip 1 Dev 1,Chip 1 Dev 2,Chip 2 Dev 1;"
    "Chip 1 LTP Dev 1,Chip 1 LTP Dev 2,Chip 2 LTP Dev 1"
)


@pytest.mark.parametrize("names", NAMES.split(";"))
def test_nouns_of_devices(names, reads):
    measurement = reads(side_by_side(names, UP, UP + 1, UP + 2))
    assert len({ramp.device for ramp in measurement.ramps}) == 3
    assert {ramp.cycle for ramp in measurement.ramps} == {1}


def test_a_cycle_between_the_parts_of_a_device(reads):
    names = "Chip 1 cycle 1 Dev 2,Chip 1 cycle 2 Dev 2"
    measurement = reads(side_by_side(names, UP, UP + 1))
    assert labels(measurement) == [("Chip 1 Dev 2", 1), ("Chip 1 Dev 2", 2)]


@pytest.mark.parametrize("names", ["M1,M2,M3", "A1,A2,B1", "#1 (nS),#2 (nS),#3 (nS)", "1,2,3"])
def test_names_that_may_be_devices_or_cycles(names, reads):
    """They are asked for where their ranges differ as those of devices do."""
    measurement = reads(side_by_side(names, UP, UP + 1, 1.02 * UP))
    assert labels(measurement) == [("1", 1), ("1", 2), ("1", 3)]
    text = side_by_side(names, UP, 1.2 * UP, 1.4 * UP)
    with pytest.raises(UserError, match=r"differ by 17 %.* say --devices each; .* --devices one"):
        reads(text)
    for devices, number in (("each", 3), ("one", 1)):
        assert len({ramp.device for ramp in reads(text, devices=devices).ramps}) == number


@pytest.mark.parametrize("ids", [("D1", "D2"), ("1", "2")])
@pytest.mark.parametrize("head", ["ID,Run,Pulse No,G", "ID,Run,Pulse No,Conductance"])
def test_a_column_of_ids_in_a_long_table(ids, head, reads):
    lines = [f"{label},1,{k},{UP[k]}" for label in ids for k in range(40)]
    measurement = reads("\n".join([head, *lines]))
    assert labels(measurement) == [(ids[0], 1), (ids[1], 1)]


# Units


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("Pulse number,Conductance\n#,nS\n,LTP", "nS"),
        ("Pulse number,Conductance\n#,nS", "nS"),
        ("Pulse number,Conductance\nN,nS\nN,Device 3", "nS"),
        (r"Pulse number,Conductance" + "\n" + r",(10\+(-9) S)", "10^-9 S"),
        ("Pulse number,Conductance\n" + r",\g(m)S", "µS"),
        ('Pulse number,"Conductance, nS"', "nS"),
        ("Pulse number,Conductance_nS", "nS"),
        ("Pulse number,G nS", "nS"),
        ('Pulse number,"G, µS"', "µS"),
        ("Pulse number,R_kOhm", "kOhm"),
    ],
)
def test_units_as_plotting_programs_and_labs_write_them(head, unit, reads):
    measurement = reads(columns(PULSES, words(UP), head=head))
    assert measurement.unit == unit
    assert len(measurement.ramps[0].values) == 40


@pytest.mark.parametrize(
    "lines", ["Units,,mS\nComments,,LTP\nF(x)=,,", "Units,#,mS\nComments,,", "Units,,mS"]
)
def test_the_first_column_may_say_what_the_lines_of_the_header_are(lines, reads):
    text = columns([""] * 40, PULSES, words(UP), head=f"Long Name,Pulse number,G\n{lines}")
    measurement = reads(text)
    assert measurement.unit == "mS"
    assert measurement.understood.column.tolist()[0] == "column 2 (Pulse number)"


@pytest.mark.parametrize("comment", ["# nS,#", "#", "# pulses at 1 V,nS", "#,nS"])
def test_a_comment_above_the_names_is_no_line_of_units(comment, reads):
    assert reads(columns(PULSES, words(UP), head=f"{comment}\nPulse number,G")).unit == ""


# Words and signs


@pytest.mark.parametrize(
    "head",
    [
        "pulse(s),R_xy (mΩ)",
        "Puls(e),R_xy (mΩ)",
        "Impulsion(s),R_xy (mΩ)",
        "Pulse number (a.u.),Id (A)",
        "Pulse number (LTP/LTD),G (nS)",
        "Pulse,LTP (1st)",
    ],
)
def test_brackets_that_hold_no_unit(head, reads):
    measurement = reads(columns(PULSES, words(UP), head=head))
    assert measurement.understood.role.tolist() == ["pulses", "response"]
    np.testing.assert_array_equal(measurement.ramps[0].pulses, PULSES)


def test_ordinals_are_of_cycles(reads):
    names = "LTP (1st),LTD (1st),LTP (2nd),LTD (2nd)"
    ramps = reads(side_by_side(names, UP, DOWN, UP + 1, DOWN + 1)).ramps
    assert [(ramp.branch, ramp.cycle) for ramp in ramps] == [
        (branch, cycle) for cycle in (1, 2) for branch in ("rising", "falling")
    ]


def test_a_change_from_the_first_value_is_a_response(reads):
    names = "ΔG/G0 LTP (%),ΔG/G0 LTD (%)"
    ramps = reads(side_by_side(names, UP - 10, DOWN - 10)).ramps
    assert [ramp.branch for ramp in ramps] == ["rising", "falling"]
    with pytest.raises(UserError, match="the change by each pulse"):
        reads(side_by_side("ΔG/G0 (%)", DOWN - 10))


@pytest.mark.parametrize("cell", ["9.9e37", "9.90E+37", "+9.910000E+37"])
def test_what_instruments_write_for_no_reading(cell, reads):
    values = words(UP)
    values[4] = cell
    measurement = reads(columns(PULSES, values, head="Pulse,G"))
    np.testing.assert_array_equal(measurement.ramps[0].pulses, np.delete(PULSES, 4))


def test_remarks_beside_the_numbers(reads):
    text = columns(
        PULSES, words(UP), ["", "", "V = 1.2 V", "device W3"], head="Pulse,G (nS),Remarks"
    )
    np.testing.assert_array_equal(reads(text).ramps[0].values, UP)


@pytest.mark.parametrize("curves", [(UP, DOWN), (DOWN, UP)])
def test_signs_are_directions_unless_the_values_tell_otherwise(curves, reads):
    lines = [
        f"D1,{sign},{k},{curve[k]}"
        for sign, curve in zip("+-", curves, strict=True)
        for k in range(40)
    ]
    ramps = reads("\n".join(["dev,polarity,pulse,I (nA)", *lines])).ramps
    assert {ramp.branch: ramp.device for ramp in ramps} == {"rising": "D1", "falling": "D1"}
    assert [len(ramp.values) for ramp in ramps] == [40, 40]


@pytest.mark.parametrize(
    "names",
    ["1. Lesung,2. Lesung", "Reading 1,Reading 2", "Read A,Read B", "1st read,2nd read"],
)
def test_numbered_reads_beside_one_count(names, reads):
    measurement = reads(side_by_side(names, UP - 1, UP + 1))
    assert measurement.reads == 2
    np.testing.assert_allclose(measurement.ramps[0].values, UP, rtol=1e-12)


@pytest.mark.parametrize("names", ["Verstärkung,Abschwächung", "PRG,ERS"])
def test_both_words_of_a_pair_are_known(names, reads):
    ramps = reads(side_by_side(names, UP, DOWN)).ramps
    assert [ramp.branch for ramp in ramps] == ["rising", "falling"]


def test_a_mean_beside_devices_is_not_asked_about(reads):
    names = "Device 1 (nS),Device 2 (nS),Average"
    ramps = reads(side_by_side(names, UP, UP + 1, UP + 0.5)).ramps
    assert [ramp.device for ramp in ramps] == ["Device 1", "Device 2"]


def test_lines_above_the_names_may_hold_numbers(reads):
    """As LabVIEW writes them, in an empty first column of the numbers."""
    head = ["Separator\tTab", "Channels\t2", "X0\t0.0", "X_Value\tG_LTP\tG_LTD"]
    rows = [f"\t{x}\t{y}".replace(".", ",") for x, y in zip(words(UP), words(DOWN), strict=True)]
    ramps = reads("\n".join([*head, *rows])).ramps
    assert [ramp.branch for ramp in ramps] == ["rising", "falling"]
    np.testing.assert_array_equal(ramps[0].values, UP)
