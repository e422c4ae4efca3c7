"""The study of driving: its settings, and its table, sentence and picture by hand."""

import pandas as pd
import pytest
from support import untrained_runs

from devices.library import find
from devices.scheme import CELLS
from utils.plots.driving import RULE_NAMES, conclusion, pareto_front, select, table
from utils.plots.driving_picture import draw_driving
from utils.studies import STUDIES

pytestmark = pytest.mark.usefixtures("svg_alone")
DRIVING = STUDIES["driving"]


def accuracy(setting, model: int) -> float:
    """Best at 1000; reference 2 worse; nearest 1 better; seeds differ, but alike in all."""
    value = 90.0 - 2 * (setting.cell == "reference") + (setting.rounding == "nearest")
    value += 0.001 * model * setting.accumulate  # so that the difference has a spread
    return value - abs(setting.lr - 1000) / 1000 + model


@pytest.fixture(scope="module")
def networks() -> pd.DataFrame:
    """Linear devices with costs: an accumulator needs half of the pulses, both-ways 0.8 of them."""
    settings = DRIVING.settings({"field": (find("double-linear"),)})
    rows = untrained_runs.table(settings, accuracy)
    pulses = 100 * (1 - 0.5 * rows["accumulate"]) * (1 - 0.2 * (rows["cell"] == "both-ways"))
    return rows.assign(pulses=pulses, refreshes=3.0, dropped=0.25, pending=0.01, refreshed=0.1)


@pytest.fixture(scope="module")
def driven(networks):
    """What is shown of the linear device."""
    (driven,) = select(networks)
    return driven


def equal_to_best(driven) -> set:
    """The cells and rules that are equal to the best."""
    equal = driven.schemes[driven.schemes["equal"]]
    return set(zip(equal["cell"], equal["rule"], strict=True))


def test_the_cheapest_of_equal_schemes_is_taken(driven):
    assert len(driven.schemes) == 15
    (papers,) = driven.schemes[driven.schemes["is_papers"]].itertuples()
    assert papers.mean == pytest.approx(91)
    assert equal_to_best(driven) == {
        (cell, RULE_NAMES["nearest", accumulate])
        for cell in ("one-way", "both-ways")
        for accumulate in (False, True)
    }
    chosen = driven.schemes.loc[driven.recommended]
    assert (chosen["cell"], chosen["rule"]) == ("both-ways", RULE_NAMES["nearest", True])
    assert chosen["pulses"] == pytest.approx(40)
    assert conclusion(driven).startswith(
        "Driving linear: take both-ways, accumulate, whole pulses, which reaches 92.00 % with 40 "
        "pulses per device (learning rate 1000); the paper's scheme reaches 91.00 % with 100, a "
        "gain of +1.00 points (95 %: "
    )


def test_the_front_holds_what_no_other_scheme_beats(driven, networks):
    """At 40 pulses 92.0 and at no more pulses anything better: one scheme is the whole front."""
    (only,) = pareto_front(driven.schemes).itertuples()
    assert (only.cell, only.rule) == ("both-ways", RULE_NAMES["nearest", True])
    factor = 1 + 4 * (networks["rounding"] == "nearest")
    (dear,) = select(networks.assign(pulses=networks["pulses"] * factor))
    front = pareto_front(dear.schemes)
    assert front["pulses"].is_monotonic_increasing
    assert front["mean"].is_monotonic_increasing
    assert front["pulses"].round().tolist() == [40, 200]


def test_the_table_has_the_difference_from_the_papers_scheme(driven):
    rows = table([driven])
    assert len(rows) == 15
    papers = rows[(rows["cell"] == "one-way") & (rows["rule"] == "drop below smallest pulse")]
    assert papers["to paper's"].isna().all()
    other = rows[(rows["cell"] == "reference") & (rows["rule"] == "round to nearest")].iloc[0]
    assert other["to paper's"] == pytest.approx(-1.0)
    assert other["dropped / %"] == 25


def test_the_picture_has_a_panel_for_each_cell_and_two_for_the_costs(driven):
    figure = draw_driving([driven])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["a", "b", "c"]
    assert [axes.get_title() for axes in figure.axes][:3] == list(CELLS)
    first = figure.axes[0].get_lines()[0]
    assert list(first.get_xdata()) == [250, 500, 1000, 2000, 4000]
    assert first.get_ydata()[2] == pytest.approx(91)


def test_a_scheme_that_cannot_be_compared_is_not_equal_to_the_best(networks):
    """The cheapest scheme, but of other seeds: nothing shows how far it is from the best."""
    is_cheapest = (networks["cell"] == "both-ways") & (networks["rounding"] == "nearest")
    is_cheapest &= networks["accumulate"]
    other = networks.assign(model_seed=networks["model_seed"] + 50 * is_cheapest)
    other = other.assign(accuracy=other["accuracy"] - 0.01 * is_cheapest)
    (driven,) = select(other)
    assert ("both-ways", RULE_NAMES["nearest", True]) not in equal_to_best(driven)
    assert driven.schemes["pulses"][driven.recommended] == pytest.approx(50)


def test_a_device_driven_by_two_rules_alone_is_shown(networks):
    one_way = networks[(networks["cell"] == "one-way") & (networks["rounding"] == "none")]
    (driven,) = select(one_way)
    assert list(driven.schemes["rule"]) == [RULE_NAMES["none", False], RULE_NAMES["none", True]]
