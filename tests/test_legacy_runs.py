"""Simulations of the original scripts stay readable, beside ours and whatever lies around."""

import pytest
from conftest import setting_of
from support import untrained_runs
from support.legacy_runs import write_legacy_folder
from support.simulated import (
    BROKEN,
    FIGURE_1,
    LEGACY,
    assert_curve,
    edit_records,
    from_files,
    means_of,
    rename_files,
    report_on,
    rows_of,
)

from utils.plots.accuracy import BY_RATE, conclusion, draw_accuracy
from utils.plots.networks import Networks
from utils.records.simulations import Simulations

pytestmark = pytest.mark.usefixtures("svg_alone")


def test_what_the_original_scripts_wrote_has_rows_of_its_own(copied, read):
    """Nothing of either is dropped, though seeds and settings are the same."""
    folder = write_legacy_folder(copied, [90.0, 92.0, 94.0], **LEGACY)
    assert not list(folder.glob("*.settings"))
    assert len(list(folder.iterdir())) == 4 * 3
    together = Simulations.read(copied)
    assert len(together.networks) == len(read.networks) + 3
    assert together.problems.equals(read.problems)
    ours, theirs = (
        rows_of(together.table(), **FIGURE_1, original=original) for original in (False, True)
    )
    assert theirs[
        ["n", "failed", "mean", "std", "relaxed_mean", "relaxed_std"]
    ].values.tolist() == [[3, 0, 92.0, 2.0, 82.0, 2.0]]
    assert theirs["mean_request"].item() == pytest.approx(0.5)
    assert ours["mean"].item() == pytest.approx(rows_of(read.table(), **FIGURE_1)["mean"].item())
    assert len(together.table()) == len(read.table()) + 1
    # A command that trains more counts three a run, whoever trained them.
    assert Networks(together).flags() == " --task Digits --epochs 4 --layers 16 --n_models 3"


def test_a_folder_of_the_original_scripts_alone(tmp_path):
    write_legacy_folder(tmp_path, [95.0], epochs=3)
    write_legacy_folder(tmp_path, [85.0, 87.0], epochs=3, field="double-exponential", lr=3000.0)
    read = Simulations.read(tmp_path)
    assert read.problems.empty
    table = read.table()
    assert table[["task", "field", "lr", "n", "mean"]].values.tolist() == [
        ["MNIST", "double-exponential", 3000.0, 2, 86.0],
        ["MNIST", "double-linear", 500.0, 1, 95.0],
    ]
    assert len(Networks(read).main) == 3


def with_two_fields(record: dict) -> dict:
    record["optimizer_parameters"]["field"] = ["double-linear", "double-exponential"]
    return record


def test_other_folders_and_files_are_named_and_stop_nothing(copied, read):
    (copied / "notes.txt").write_text("of the lab")
    (copied / "old figures").mkdir()
    (copied / "old figures" / "figure1.png").write_bytes(b"")
    (copied / ".hidden").mkdir()
    renamed = write_legacy_folder(copied, [50.0], stamp="20240101000000", **LEGACY)
    renamed.rename(copied / "the best one")
    half = write_legacy_folder(copied, [50.0, 51.0], stamp="20240202000000", **LEGACY)
    (half / f"{half.name}-1.json").unlink()
    (half / f"{half.name}-0-gradients.pth").write_bytes(b"PK")
    (half / "remark.txt").write_text("x")
    other = write_legacy_folder(copied, [50.0], stamp="20240303000000", lr=501.0, **LEGACY)
    (other / f"{other.name}-0.json").write_text('{"task": "Digits"}')
    switched = write_legacy_folder(copied, [50.0], stamp="20240404000000", lr=502.0, **LEGACY)
    edit_records(switched, with_two_fields)

    together = Simulations.read(copied)
    assert len(together.networks) == len(read.networks)
    assert together.table().equals(read.table())
    reasons = {(row.folder, row.file): row.reason for row in together.problems.itertuples()}
    assert reasons.pop(("", "notes.txt")) == "no folder of a simulation"
    for name in ("old figures", "the best one"):
        assert reasons.pop((name, "")) == "no complete network, or the folder was renamed"
    assert "-0-gradients.pth cannot be read" in reasons.pop((half.name, f"{half.name}-0.json"))
    assert "incomplete: no JSON" in reasons.pop((half.name, f"{half.name}-1-accuracies.pth"))
    assert reasons.pop((half.name, "remark.txt")) == "no file of this simulation"
    assert "no record of a network: " in reasons.pop((other.name, f"{other.name}-0.json"))
    assert "2 fields" in reasons.pop((switched.name, f"{switched.name}-0.json"))
    assert len(reasons) == len(read.problems)
    assert all(BROKEN in folder for folder, _ in reasons)


def test_a_run_that_goes_on_is_named_as_such(tmp_path):
    """Its folder is there, and of its first network the accuracies."""
    folder = write_legacy_folder(tmp_path, [50.0], **LEGACY)
    for end in (".json", ".pth", "-gradients.pth"):
        (folder / f"{folder.name}-0{end}").unlink()
    read = Simulations.read(tmp_path)
    assert read.networks.empty
    assert read.table().empty
    assert Networks(read).main.empty
    assert list(read.problems["reason"]) == [
        "incomplete: no JSON, the run was stopped or goes on",
        "no complete network, or the folder was renamed",
    ]


@pytest.mark.usefixtures("unsaved")
def test_networks_of_the_original_scripts_are_drawn_with_others(copied, simulations, tmp_path):
    write_legacy_folder(copied, [90.0, 92.0, 94.0], **LEGACY)
    write_legacy_folder(copied, [70.0, 72.0], lr=1000.0, **LEGACY)
    report = report_on(copied, tmp_path / "figures")
    networks = report.networks
    drawn, others = networks.describe()
    assert drawn.startswith("Drawn: 65 networks of task Digits")
    assert drawn.endswith(" 5 of them are of the original scripts.")
    assert others.startswith("Not drawn: 1 network ")
    line = draw_accuracy(BY_RATE[1], networks.main).axes[0].get_lines()[0]
    values = from_files(simulations, "double-linear", 0.1, 0.2)
    values = {500.0: [*values[500.0], 90, 92, 94], 1000.0: [71.0], 3000.0: values[3000.0]}
    assert_curve(line, sorted(values), means_of(values))
    assert "n = 2 to 6" in conclusion(BY_RATE[1], networks.main)
    rates = [line.get_label() for line in report.draw("learning-curves").axes[0].get_lines()]
    assert rates == ["500", "1000", "3000"]
    assert report.draw("weights") is not None


def clipped(record: dict) -> dict:
    record["optimizer_parameters"]["physical_clipping"] = True
    return record


@pytest.mark.parametrize("ending", ["", "-physical-clipping"])
def test_physical_clipping_of_the_original_scripts_had_no_effect(ending, tmp_path):
    """The scripts compared a function with True: requests recorded as clipped were not clipped."""
    write_legacy_folder(tmp_path, [95.0, 96.0], epochs=3)
    folder = write_legacy_folder(tmp_path, [93.0], epochs=3, stamp="20240801000000", seed=102)
    edit_records(folder, clipped)
    renamed = rename_files(folder.rename(folder.with_name(folder.name + ending)), folder.name)
    read = Simulations.read(tmp_path)
    assert not read.networks["physical_clipping"].any()
    assert read.table()[["n", "mean"]].values.tolist() == [[3, (95.0 + 96.0 + 93.0) / 3]]
    (problem,) = read.problems.itertuples(index=False)
    assert problem.file == f"{renamed.name}-0.json"
    assert problem.reason.startswith("physical_clipping is true there, but never acted")


def test_a_clipped_record_of_this_program_stays_clipped(tmp_path):
    untrained_runs.write(
        tmp_path, [setting_of(physical_clipping=True)], lambda setting, model: 90.0
    )
    read = Simulations.read(tmp_path)
    assert read.networks["physical_clipping"].all()
    assert read.problems.empty
