"""Workbooks (XLSX) are read like text files, from the sheet that the user names."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.curves import COUNT, DOWN, LINEAR, PULSES, assert_ramps, refusal

from utils.measured.options import ReadingOptions
from utils.measured.reading import describe, read

CURVE = pd.DataFrame({"Pulse number": COUNT + 1, "Depression (µS)": DOWN})


@pytest.fixture
def book(tmp_path):
    """Writes a workbook of sheets, each a table by its name; returns its path."""

    def write(**sheets: pd.DataFrame) -> Path:
        path = tmp_path / "book.xlsx"
        with pd.ExcelWriter(path) as writer:
            for name, sheet in sheets.items():
                sheet.to_excel(writer, sheet_name=name, index=False)
        return path

    return write


def test_numbers_that_a_workbook_holds_as_text(book):
    """With the decimal mark and the minus sign of text files."""
    values = [f"\N{MINUS SIGN}{value}".replace(".", ",") for value in LINEAR]
    sheet = pd.DataFrame({"pulse": map(str, PULSES), "G (uS)": values})
    measurement = read(book(Data=sheet))
    assert_ramps(measurement, -LINEAR)
    assert measurement.how["decimal"] == "comma"


def test_the_sheet_that_is_named_is_read(book):
    path = book(Info=pd.DataFrame({"notes": ["none"]}), Data=CURVE)
    for sheet in ("Data", "2"):
        measurement = read(path, ReadingOptions(sheet=sheet))
        np.testing.assert_allclose(measurement.ramps[0].values, DOWN, rtol=1e-14)  # 16 digits
        assert (measurement.unit, measurement.ramps[0].branch) == ("µS", "falling")
        assert "sheet Data (not read: Info; --sheet chooses)" in describe(measurement)
    assert "no column holds numbers; give the file, or the --sheet," in refusal(path)
    message = refusal(path, sheet="3")
    assert "--sheet 3: " in message
    assert "has no such sheet; it has Info, Data" in message


def test_a_sheet_that_is_no_curve_names_the_others(book):
    settings = pd.DataFrame({"Setting": ["a", 3], "Value": [2, "b"]})
    assert "--sheet chooses another: Run1" in refusal(book(Info=settings, Run1=CURVE))


def test_old_formats_and_broken_workbooks(tmp_path):
    path = tmp_path / "my-curve.xlsx"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    assert "the workbook cannot be read" in refusal(path)
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500))
    assert "save it as XLSX or CSV" in refusal(path)
