"""Branches, devices and cycles by the names of columns beside each other, as labs write them."""

import re

import numpy as np
import pytest
from support.curves import COUNT, DOWN, PAIR, UP, ramps_in_words, table

TWO, THREE = [UP, UP + 1], [UP, UP + 1, UP + 2]


def side_by_side(names: str, *curves) -> str:
    """The text of a file with a column of pulses and a column for each curve."""
    return table(f"Pulse,{names}", COUNT, *curves)


@pytest.mark.parametrize(
    ("names", "curves", "ramps"),
    [
        *((names, [UP, DOWN] * 2, f"{PAIR}, 1.2 rising, 1.2 falling") for names in (
            "P1,D1,P2,D2", "P-1,D-1,P-2,D-2", "Write 1,Erase 1,Write 2,Erase 2",
            "Pgm1,Ers1,Pgm2,Ers2", "LTP (1st),LTD (1st),LTP (2nd),LTD (2nd)")),
        *((names, [UP, DOWN], PAIR) for names in (
            "Potentialisation,Dépression", "Verst.,Depr.", "Verst.,LTD", "Verstärkung,Abschwächung",
            "Write,Erase", "PRG,ERS", "P,D", "ΔG/G0 LTP (%),ΔG/G0 LTD (%)",
            "Rxy LTP (Ω),Rxy LTD (Ω)", "I_LTP @-0.1V,I_LTD @0.1V")),
        *((names, TWO, "1.1 rising, 1.2 rising") for names in (
            "rise cycle 1 (mV),rise cycle 2 (mV)", "First cycle,Second cycle", "Run A,Run B")),
        ("Hall bar 1 (mΩ),Hall bar 2 (mΩ)", TWO, "Hall bar 1.1 rising, Hall bar 2.1 rising"),
        ("D1,D2", TWO, "D1.1 rising, D2.1 rising"),  # D alone is no depression
        ("Chip 1 cycle 1 Dev 2,Chip 1 cycle 2 Dev 2", TWO,
         "Chip 1 Dev 2.1 rising, Chip 1 Dev 2.2 rising"),
        *((names, THREE, "Chip 1 Dev 1.1 rising, Chip 1 Dev 2.1 rising, Chip 2 Dev 1.1 rising")
          for names in ("Chip 1 Dev 1,Chip 1 Dev 2,Chip 2 Dev 1",
                        "Chip 1 LTP Dev 1,Chip 1 LTP Dev 2,Chip 2 LTP Dev 1")),
        ("Device 1 (nS),Device 2 (nS),Average", [UP, UP + 1, UP + 0.5],
         "Device 1.1 rising, Device 2.1 rising"),
        # what looks like no response is left out
        *(("LTP,foo", [UP, other], "1.1 rising") for other in (
            0 * UP + 20, 100 * UP, UP + 100, np.linspace(10, 50, 40) + 30 * (-1.0) ** COUNT)),
    ],
)  # fmt: skip
def test_branches_devices_and_cycles_by_their_names(names, curves, ramps, reads):
    assert ramps_in_words(reads(side_by_side(names, *curves))) == ramps


@pytest.mark.parametrize(
    "names",
    "Synapse #;Memristor #;FET#;Transistor # (nS);Pad #;Dot #;Kontakt #;Gerät #;Struktur #;"
    "Hallbar #;Ch#;Kanal #;Sample #;Échantillon #;Cellule #;Chip2_R1C#".split(";"),
)
def test_nouns_of_devices(names, reads):
    numbered = ",".join(names.replace("#", number) for number in "123")
    measurement = reads(side_by_side(numbered, *THREE))
    assert len({ramp.device for ramp in measurement.ramps}) == 3
    assert {ramp.cycle for ramp in measurement.ramps} == {1}


@pytest.mark.parametrize("names", ["M1,M2,M3", "A1,A2,B1", "#1 (nS),#2 (nS),#3 (nS)", "1,2,3"])
def test_names_that_may_be_devices_or_cycles(names, reads, refused):
    """The flag is asked for where their ranges differ as those of devices do."""
    measurement = reads(side_by_side(names, UP, UP + 1, 1.02 * UP))
    assert ramps_in_words(measurement) == "1.1 rising, 1.2 rising, 1.3 rising"
    text = side_by_side(names, UP, 1.2 * UP, 1.4 * UP)
    assert re.search(r"differ by 17 %.* say --devices each; .* --devices one", refused(text))
    for devices, number in (("each", 3), ("one", 1)):
        assert len({ramp.device for ramp in reads(text, devices=devices).ramps}) == number


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("Cycle 1,Cycle 2,last", r"column 4 \(last\) has no .*--columns 2 3 4 .*--columns 2 3 if"),
        ("Dev1,Dev2,ref", r"column 4 \(ref\) has no known name, but its numbers run like those of"),
        (",LTD,LTD", "column 2 has no .* --columns 2 3 4 if it is a response, too, or --columns 3"),
    ],
)
def test_a_column_that_looks_like_a_response_is_asked_for(names, problem, reads, refused):
    curves = [60 - curve for curve in THREE] if "LTD" in names else THREE
    text = side_by_side(names, *curves)
    assert re.search(problem, refused(text))
    assert len(reads(text, columns=["2-4"]).ramps) == 3
    assert len(reads(text, columns=["2-3"]).ramps) == 2


@pytest.mark.parametrize(
    ("names", "curves", "problem"),
    [
        # of other conditions or devices
        ("100Oe,500Oe", TWO, "in a condition, 100Oe, 500Oe, .* say --devices each; .*--columns"),
        *((names, TWO, f"in a condition, {shown}, or in the device") for names, shown in (
            ("25 C,85 C", "25 C, 85 C"), ("dark,light", "dark, light"), ("x=1,x=2", "1, 2"),
            ("0% strain,1% strain", "0%, 1%"), ("TiO2,HfO2", "TiO, HfO"), ("H_perp,H_par",
            "perp, par"), ("1e3 cycles,1e4 cycles", "1e3, 1e4"), ("RT,85°C", "RT, 85°C"),
            ("before annealing,after annealing", "before, after"))),
        ("A5,A10,A20", THREE, "in a condition, A5, A10, A20"),
        ("LTP dark,LTD dark,LTP light,LTD light", [UP, DOWN] * 2,
         "in a condition, dark, light, .* name them Device 1"),
        ("LTP_S3_c1,LTP_S4_c1", TWO, "or in the device; .* name them Device 1"),
        ("Cycle 1,Cycle 2", [UP, UP + 300], "further away than their range .*; .*--columns"),
        ("Rxx,R_xx", [UP, UP + 300], "differ in a condition, Rxx, R xx"),
        # the states before and after each pulse
        ("Vxy vor Puls,Vxy nach Puls", [UP - 1, np.append(UP[1:] - 1.02, 50)],
         r"column 2 \(Vxy vor Puls\) is read before each pulse.*--columns 3"),
        ("G_prev,G", [UP, np.append(UP[1:], 51)], r"column 2 \(G_prev\) is .*--columns 3"),
        # names of branches that the values contradict
        ("LTP Vth (V),LTD Vth (V)", [DOWN, UP], "as with all .*say --branches falling rising if"),
        ("LTP R (kOhm),LTD R (kOhm)", [UP, DOWN], "as with all .*say --branches rising falling if"),
        ("LTP Hc", [DOWN], "but falling in the file; say --branches falling if"),
        ("I_LTP,I_LTD", [-UP, DOWN], "give the sizes of all values in the file"),
    ],
)  # fmt: skip
def test_names_of_conditions_and_of_what_the_values_contradict(
    names, curves, problem, reads, refused
):
    text = side_by_side(names, *curves)
    message = refused(text)
    assert re.search(problem, message)
    if found := re.search(r"--branches ([a-z ]+) if", message):
        ways = ["rising" if curve[-1] > curve[0] else "falling" for curve in curves]
        assert found[1].split() == [ramp.branch for ramp in reads(text, branches=ways).ramps]


@pytest.mark.parametrize(
    "names", ["1. Lesung,2. Lesung", "Reading 1,Reading 2", "Read A,Read B", "1st read,2nd read"]
)
def test_numbered_reads_beside_one_count(names, reads):
    measurement = reads(side_by_side(names, UP - 1, UP + 1))
    assert measurement.reads == 2
    np.testing.assert_allclose(measurement.ramps[0].values, UP, rtol=1e-12)


@pytest.mark.parametrize("ids", [("D1", "D2"), ("1", "2")])
@pytest.mark.parametrize("value", ["G", "Conductance"])
def test_a_column_of_ids_in_a_long_table(ids, value, reads):
    text = table(
        f"ID,Run,Pulse No,{value}", np.repeat(ids, 40), ["1"] * 80, [*COUNT] * 2, [*UP] * 2
    )
    assert ramps_in_words(reads(text)) == f"{ids[0]}.1 rising, {ids[1]}.1 rising"


@pytest.mark.parametrize(
    ("head", "others", "ramps"),
    [
        ("Chip,Device", ["1122", "1212"], "1 1.1 rising, 1 2.1 rising, 2 1.1 rising, 2 2.1 rising"),
        ("Wafer,Die", ["aabb", "1212"], "a 1.1 rising, a 2.1 rising, b 1.1 rising, b 2.1 rising"),
        *((head, [others], None) for head, others in (
            ("Field", "wwss"), ("Temperature (K)", "1122"), ("H (Oe)", "1135"), ("Doping", "1234"),
            ("Operator", "GKGK"), ("器件", "1234"))),
    ],
)  # fmt: skip
def test_columns_that_are_constant_in_each_ramp(head, others, ramps, reads, refused):
    columns = [np.repeat([*values], 40) for values in others]
    text = table(f"{head},Pulse,G (nS)", *columns, [*COUNT] * 4, [*UP] * 4)
    if ramps:
        assert ramps_in_words(reads(text)) == ramps
        return
    assert re.search("other devices or conditions: column 1 .*keep only the lines", refused(text))
    assert len({ramp.device for ramp in reads(text.replace(head, "Device", 1)).ramps}) > 1
    assert len({ramp.device for ramp in reads(text, devices="one").ramps}) == 1


@pytest.mark.parametrize("curves", [(UP, DOWN), (DOWN, UP)])
def test_signs_are_directions_unless_the_values_show_otherwise(curves, reads):
    signs = ["+"] * 40 + ["-"] * 40
    columns = ["D1"] * 80, signs, [*COUNT] * 2, np.concatenate(curves)
    ramps = reads(table("dev,polarity,pulse,I (nA)", *columns)).ramps
    assert {ramp.branch: ramp.device for ramp in ramps} == {"rising": "D1", "falling": "D1"}
    assert [len(ramp.values) for ramp in ramps] == [40, 40]
