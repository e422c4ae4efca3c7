"""What learning costs, in tables and in the figure: by hand, and as it is in the files."""

import math
import statistics

import pandas as pd
import pytest
import torch
from support.legacy_runs import write_legacy_folder
from support.simulated import LEGACY, RATES, report_on

from devices.ledger import COUNTS
from utils.errors import UserError
from utils.plots.accuracy import FIELD_NAMES
from utils.plots.costs import conclusion, costs, costs_table, draw_costs
from utils.plots.prices import Prices
from utils.records.ledgers import LedgerRecord
from utils.records.simulations import Simulations, with_costs

pytestmark = pytest.mark.usefixtures("svg_alone")
N_PAIRS = 1024 * 16 + 160  # of each small simulation


def rows_of(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def ledger(wear=True) -> LedgerRecord:
    """Two epochs and two layers: of 2 x 3 pairs, the last input always zero, and of 1."""
    first = {
        "pulses1": rows_of([1, 2, 0], [3, 4, 0]),
        "pulses2": rows_of([5, 0, 0], [7, 8, 0]),
        "refreshes": rows_of([0, 1, 0], [3, 0, 0]),
    }
    second = {"pulses1": rows_of([40]), "pulses2": rows_of([20]), "refreshes": rows_of([6])}
    return LedgerRecord(
        pulses=rows_of([20, 50], [10, 10]),
        writes=rows_of([15, 25], [5, 5]),
        dropped=rows_of([60, 5], [20, 15]),
        refreshes=rows_of([3, 5], [1, 1]),
        pairs=torch.tensor([6.0, 1.0]),
        wear=(first, second) if wear else (),
    )


def test_totals_by_layer_by_hand():
    row = costs(ledger(wear=False), Prices(pulse_energy=1.0, pulse_time=1.0)).loc["1"]
    assert row.dropna().to_dict() == {
        "pulses": 30,
        "writes": 20,
        "dropped": 80,
        "refreshes": 4,
        "dropped %": 80,
        "per device": 2.5,
        "per pair": pytest.approx(4 / 6),
    }
    total = costs(ledger(wear=False), Prices()).loc["all"]
    assert (total["pulses"], total["refreshes"], total["dropped %"]) == (90, 10, 100 * 100 / 150)
    assert total["per device"] == pytest.approx(90 / 14) == ledger().pulses_per_device
    assert ledger().refreshes_per_pair == pytest.approx(10 / 7)
    assert ledger().share_dropped == pytest.approx(100 / 150)


def test_a_layer_that_was_never_written_has_no_spread():
    still = dict.fromkeys(("pulses1", "pulses2", "refreshes"), torch.zeros(2, 3))
    counts = [rows_of([0, 0], [0, 0])] * 4
    row = costs(LedgerRecord(*counts, torch.tensor([6.0, 1.0]), (still, still)), Prices()).loc["1"]
    assert row["pulses"] == 0
    assert all(math.isnan(row[name]) for name in ("median", "99th", "largest"))


def test_wear_by_hand():
    """The first layer's 8 devices of active inputs: 0 1 2 3 4 5 7 8; beyond are shares of all."""
    prices = Prices(endurance=4.0, refresh_endurance=2.0)
    row = costs(ledger(), prices).loc["1"]
    assert (row["median"], row["99th"], row["largest"]) == (3, 8, 8)
    assert row["beyond endurance %"] == pytest.approx(100 * 3 / 12)
    assert row["beyond refresh endurance %"] == pytest.approx(100 * 2 / 12)
    total = costs(ledger(), prices).loc["all"]
    assert total["largest"] == 40
    assert total["beyond endurance %"] == pytest.approx(100 * 5 / 14)
    assert total["beyond refresh endurance %"] == pytest.approx(100 * 4 / 14)


def test_energy_and_time_by_hand():
    """90 pulses and 10 refreshes; one by one, and as long as the busiest device at the least."""
    row = costs(ledger(), Prices(2e-12, 5e-12, 0.1)).loc["all"]
    assert row["energy / J"] == pytest.approx(90 * 2e-12 + 10 * 5e-12)
    assert row["one by one, at most / s"] == pytest.approx(9.0)
    assert row["all at once, at least / s"] == pytest.approx(4.0)
    mean = costs(ledger(wear=False), Prices(pulse_time=0.1)).loc["all"]
    assert mean["all at once, at least / s"] == pytest.approx(0.1 * 90 / 14)
    assert "energy / J" not in mean


@pytest.mark.parametrize("word", ["much", "-1", "nan", "inf"])
def test_a_price_that_is_none(word, monkeypatch):
    monkeypatch.setenv("MAGNETOIONIC_PULSE_TIME", word)
    with pytest.raises(UserError, match=f"--pulse_time {word}: must be a finite number >= 0"):
        Prices.from_environment()


def test_prices_from_the_environment(monkeypatch):
    for name, value in (("PULSE_ENERGY", "1e-12"), ("ENDURANCE", "1e6")):
        monkeypatch.setenv(f"MAGNETOIONIC_{name}", value)
    assert Prices.from_environment() == Prices(pulse_energy=1e-12, endurance=1e6)


def ledgers(simulations, field: str, rate: float) -> list[dict]:
    """The counts of three networks of figure 1, straight from the files."""
    paths = [*simulations.glob(f"*-{field}-{rate}-var-0.2-clipping-0.1-*/*-ledger.pth")]
    assert len(paths) == 3
    return [torch.load(path, weights_only=True) for path in paths]


def per_pair(simulations, field: str, name: str) -> list[list[float]]:
    """A count of each network, for each learning rate."""
    return [
        [float(ledger[name].sum()) / N_PAIRS for ledger in ledgers(simulations, field, rate)]
        for rate in RATES
    ]


def test_the_figure_shows_what_is_in_the_files(simulations, tmp_path):
    report = report_on(simulations, tmp_path / "figures")
    reached, refreshed = report.draw("costs").axes
    for field, container, other in zip(
        FIELD_NAMES, reached.containers, refreshed.containers, strict=True
    ):
        pulses = per_pair(simulations, field, "pulses")
        refreshes = per_pair(simulations, field, "refreshes")
        line, _, (across, _) = container
        per_device = [statistics.fmean(values) / 2 for values in pulses]
        assert list(line.get_xdata()) == pytest.approx(per_device)
        means = [statistics.fmean(values) for values in refreshes]
        assert list(other[0].get_ydata()) == pytest.approx(means)
        (left, _), (right, _) = across.get_segments()[0]
        assert right - left == pytest.approx(2 * statistics.stdev(pulses[0]) / 2)
    assert {text.get_text() for text in reached.texts} == {"500", "3000"}
    assert (report.folder / "costs.svg").exists()
    (sentence,) = (values for values in report.conclusions() if values.startswith("Costs"))
    assert sentence.startswith("Costs (mean ± std, n = 3): linear takes ")


def test_the_table_has_layers_and_means_over_networks(simulations):
    networks = Simulations.read(simulations).networks
    chosen = networks[(networks["var"] == 0.2) & (networks["lr"] == 500.0)]
    table = costs_table(chosen, Prices(pulse_energy=1e-12))
    assert list(table["layer"]) == ["1", "2", "all"] * 2
    row = table[(table["field"] == "double-linear") & (table["layer"] == "all")].iloc[0]
    counts = ledgers(simulations, "double-linear", 500.0)
    pulses = statistics.fmean(float(count["pulses"].sum()) for count in counts)
    assert float(row["per device"]) == pytest.approx(pulses / 2 / N_PAIRS, rel=1e-3)
    assert float(row["energy / J"]) == pytest.approx(1e-12 * pulses, rel=1e-3)
    assert list(table[table["layer"] == "1"]["energy / J"]) == ["–", "–"]
    first = table[(table["field"] == "double-linear") & (table["layer"] == "1")].iloc[0]
    for name in COUNTS:
        expected = statistics.fmean(float(count[name][:, 0].sum()) for count in counts)
        assert float(first[name]) == pytest.approx(expected, rel=1e-3)


def test_what_was_simulated_before_the_ledger_is_not_in_the_table(tmp_path, capsys):
    """The networks of the original scripts are included."""
    folder = tmp_path / "simulations"
    write_legacy_folder(folder, [90.0, 92.0], **LEGACY)
    networks = with_costs(Simulations.read(folder).networks)
    assert networks["pulses"].isna().all()
    assert costs_table(networks, Prices()).empty
    assert draw_costs(networks) is None
    assert conclusion(networks) == ""
    report = report_on(folder, tmp_path / "figures")
    assert report.draw("costs") is None
    assert report.costs().empty
    assert "No simulation has counted its costs yet: --ledger does." in capsys.readouterr().out


def rows(field, values) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["lr", "accuracy", "pulses"])
    setting = [(field, lr) for lr in table["lr"]]
    return table.assign(field=field, refreshes=0.1, dropped=0.5, setting=setting)


def test_the_sentence_by_hand():
    """Best at 2000 with 8 pulses; at 1000 it is 0.4 points less with 3; 500 is too far below."""
    linear = rows("double-linear", [(500, 95.0, 1.0), (1000, 97.0, 3.0), (2000, 97.4, 8.0)])
    unknown = rows("double-exponential", [(500, 99.0, math.nan)])
    assert conclusion(pd.concat([linear, unknown])) == (
        "Costs (one network a point): linear takes 8 pulses per device for its best 97.40 % "
        "(learning rate 2000, the highest tried), and 3 for 97.00 %, within 0.5 points of it "
        "(learning rate 1000)."
    )
