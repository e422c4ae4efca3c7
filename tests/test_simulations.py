"""All simulations of a folder as tables, and the problems found in it."""

import json
import shutil
import statistics

import pandas as pd
import pytest
import torch
from support.simulated import (
    BROKEN,
    EPOCHS,
    FIGURE_1,
    edit_records,
    from_files,
    rename_files,
    rows_of,
    with_other_constants,
)

from utils.errors import UserError
from utils.plots.accuracy import BY_RATE, draw_accuracy
from utils.plots.networks import Networks
from utils.plots.selection import latest_run
from utils.records.simulations import Simulations
from utils.studies import STUDIES


def test_table_has_a_row_for_each_setting(read, simulations):
    table = read.table()
    assert len(table) == 5 * 4 + 1
    row = rows_of(table, **FIGURE_1)
    values = from_files(simulations, "double-linear", 0.1, 0.2)[500.0]
    relaxed = from_files(simulations, "double-linear", 0.1, 0.2, "swap_accuracy")[500.0]
    assert row["n"].item() == 3
    assert row["mean"].item() == pytest.approx(statistics.fmean(values))
    assert row["std"].item() == pytest.approx(statistics.stdev(values))
    assert row["relaxed_mean"].item() == pytest.approx(statistics.fmean(relaxed))
    assert row["relaxed_std"].item() == pytest.approx(statistics.stdev(relaxed))
    (folder,) = simulations.glob("*double-linear-500.0-var-0.2-*")
    requests = [
        torch.load(path, weights_only=True)[-1].item() for path in folder.glob("*-gradients.pth")
    ]
    assert row["mean_request"].item() == pytest.approx(statistics.fmean(requests))


def test_what_is_the_same_everywhere_has_no_column(read):
    setting = "task field lr var resistor_noise voltage_noise clipping epochs layers"
    results = "n failed mean std relaxed_mean relaxed_std mean_request"
    assert list(read.table().columns) == [*setting.split(), *results.split()]


def test_broken_files_are_listed_with_the_reason(read):
    problems = read.problems
    reasons = {row.file.rsplit("-", 1)[1]: row.reason for row in problems.itertuples()}
    assert len(problems) == 4
    assert set(problems["folder"].str.contains(BROKEN)) == {True}
    assert "cannot be read" in reasons["0.json"]
    assert "not a record" in reasons["1.json"]
    assert "incomplete: no JSON" in reasons["accuracies.pth"]
    assert "another setting than its folder" in reasons["3.json"]
    assert 4000.0 not in set(read.networks["lr"])


def test_settings_that_a_folder_name_does_not_show_are_not_mixed(read):
    """Two simulations that differ in batch size only have rows of their own in the table."""
    other = read.networks.assign(batch_size=64)
    both = Simulations(pd.concat([read.networks, other], ignore_index=True), read.problems)
    table = both.table()
    assert len(table) == 2 * len(read.table())
    assert set(table["batch_size"]) == {64, 128}
    assert "batch_size" not in read.table()


def test_failed_networks_are_counted_and_not_averaged(read):
    first = (read.networks["lr"] == 500) & (read.networks["model"] == 0)
    networks = read.networks.copy()
    networks.loc[first, ["accuracy", "relaxed", "request"]] = float("nan")
    networks.loc[first, "failed"] = True
    failing = Simulations(networks, read.problems)
    rows = failing.table()
    rows = rows[rows["lr"] == 500]
    assert set(rows["n"]) == {2}
    assert set(rows["failed"]) == {1}
    assert rows["mean"].notna().all()
    figure_1 = STUDIES["figure1"]
    assert Networks(failing).missing(figure_1) == Networks(read).missing(figure_1)


def test_a_network_that_failed_is_named_with_its_folder(copied):
    (folder,) = copied.glob("*double-linear-500.0-var-0.2-*")
    path = folder / f"{folder.name}-1.json"
    record = json.loads(path.read_text())
    failed = {"failed_step": 7, "accuracy": None, "swap_accuracy": None, "loss": None}
    path.write_text(json.dumps(record | failed))
    read = Simulations.read(copied)
    row = rows_of(read.table(), **FIGURE_1)
    assert (row["n"].item(), row["failed"].item()) == (2, 1)
    (reason,) = rows_of(read.problems, file=path.name)["reason"]
    assert reason.startswith("failed: ")


def test_of_equally_many_simulations_the_longer_ones_are_drawn(read):
    longer = read.networks.assign(epochs=read.networks["epochs"] + 10)
    both = Simulations(pd.concat([longer, read.networks], ignore_index=True), read.problems)
    assert set(Networks(both).main["epochs"]) == {EPOCHS + 10}


@pytest.mark.parametrize("says_when", [True, False])
def test_of_networks_simulated_twice_the_latest_counts(says_when, copied):
    """The time in UTC in a folder counts, not its name in local time, unless it has none."""
    (origin,) = copied.glob("*double-linear-500.0-var-0.2-*")
    stamp = "20200101000000" if says_when else "20300101000000"
    later = copied / f"{stamp}-{origin.name.partition('-')[2]}"
    rename_files(shutil.copytree(origin, later), origin.name)
    (settings,) = later.glob("*.settings")
    content = json.loads(settings.read_text())
    assert "+00:00" in content.pop("created")
    content |= {"created": "2030-01-01T00:00:00+00:00"} if says_when else {}
    settings.write_text(json.dumps(content))
    edit_records(later, lambda record: record | {"accuracy": 12.5})
    read = Simulations.read(copied)
    row = rows_of(read.table(), **FIGURE_1)
    assert (row["n"].item(), row["mean"].item()) == (3, 12.5)
    assert {folder.id for folder in latest_run(read.networks)["folder"]} == {later.name}


def test_devices_of_one_name_with_other_constants_have_rows_of_their_own(copied, read):
    with_other_constants(copied, "*double-linear-500.0-var-0.2-*", slope=-0.0211)
    together = Simulations.read(copied)
    assert len(together.table()) == len(read.table()) + 1
    rows = rows_of(together.table(), **FIGURE_1)
    assert list(rows["n"]) == [3, 3]
    alone = rows_of(read.table(), **FIGURE_1)["mean"].item()
    assert sorted(rows["mean"]) == pytest.approx([alone - 20, alone])
    slopes = [json.loads(text)["double-linear"]["slope"] for text in rows["constants"]]
    assert sorted(slopes) == [-0.0211, -0.021]
    networks = Networks(together)  # of which no figure has both in one mean
    line = draw_accuracy(BY_RATE[1], networks.main).axes[0].get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(alone)
    assert set(networks.reference().groupby(["field", "lr"]).size()) == {3}


def test_the_folder_of_one_simulation_gives_a_hint(simulations):
    (folder,) = simulations.glob("*double-linear-500.0-var-0.2-*")
    hint = "is the folder of one simulation; name the one that holds it: "
    with pytest.raises(UserError, match=hint) as error:
        Simulations.read(folder)
    assert str(error.value).endswith(str(simulations))


def test_a_folder_that_is_not_there_and_a_file(simulations, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(UserError, match="there is no such folder of simulations"):
            Simulations.read(path)


def test_a_device_without_a_partner_has_an_empty_cell(copied):
    (folder,) = copied.glob("*double-linear-500.0-var-0.2-*")

    def without_partner(record: dict) -> dict:
        record["devices"]["double-linear"]["relaxes_to"] = None
        return record | {"swap_accuracy": None}

    edit_records(folder, without_partner)
    row = rows_of(Simulations.read(copied).table(), **FIGURE_1)
    assert row["n"].item() == 3
    assert row["mean"].notna().item()
    assert row["relaxed_mean"].isna().item()
