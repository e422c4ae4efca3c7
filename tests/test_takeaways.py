"""What is said of the figures: which networks they show, what is missing, what to take away."""

import statistics

import pandas as pd
import pytest
from support.simulated import EPOCHS, N_MODELS, RATES, from_files

from utils.parser import parse
from utils.plots.accuracy import BY_RATE, takeaway, tell
from utils.plots.figures import Figures


@pytest.fixture(scope="module")
def figures(simulations, tmp_path_factory) -> Figures:
    return Figures(simulations, tmp_path_factory.mktemp("figures"))


def test_what_is_missing_names_the_command_that_makes_it(figures, capsys):
    figures.accuracy(2)
    said = capsys.readouterr().out.strip()
    command = "figures/figure2.sh --resume --task Digits --epochs 4 --layers 16 --n_models 3"
    assert said == f"Figure 2 lacks 8 of its 12 settings; make them with: {command}"
    run = parse(["--study", "figure2", *command.split()[1:]])
    assert run.n_models == N_MODELS
    there = set(figures.networks["setting"])
    assert sum(setting in there for setting in run.settings) == 4


def test_ten_networks_a_setting_need_no_flag(figures, capsys):
    """It is what the scripts train by themselves."""
    ten = pd.concat([figures.networks] * 4, ignore_index=True)
    ten["model"] = range(len(ten))
    ten = ten[ten.groupby("setting", sort=False).cumcount() < 10]
    before = figures.networks
    figures.networks = ten
    try:
        assert figures.flags() == " --task Digits --epochs 4 --layers 16"
    finally:
        figures.networks = before


def test_what_is_drawn_is_said(figures):
    assert figures.drawn() == (
        f"Drawn: 60 networks of task Digits, epochs {EPOCHS}, layers (16,), batch_size 128, init "
        "0.01, input_scale 0.001, padding 2; 1 of other kinds are not."
    )


def test_an_empty_folder_gives_commands_and_no_error(tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    figures = Figures(tmp_path / "nothing", tmp_path / "figures", "Digits")
    assert figures.table().empty
    assert figures.problems().empty
    assert [figures.accuracy(number) for number in (1, 2, 3)] == [None] * 3
    assert figures.learning_curves() is None
    assert figures.weights() is None
    assert figures.epochs() is None
    said = capsys.readouterr().out
    for number in (1, 2, 3):
        assert f"figures/figure{number}.sh --resume --task Digits\n" in said
    assert "python main.py --task Digits" in said
    assert all("no simulations" in sentence for sentence in figures.takeaways())
    figures.devices()  # needs no simulations


def test_takeaway_is_computed_from_the_curves_and_says_of_how_many(figures, simulations):
    sentence = takeaway(BY_RATE[1], figures.networks)
    assert sentence.startswith("Figure 1 (mean ± std, n = 3): linear reaches ")
    for field, word in (("double-linear", "linear"), ("double-exponential", "exponential")):
        values = from_files(simulations, field, 0.1, 0.2)
        means = {rate: statistics.fmean(values[rate]) for rate in RATES}
        best = max(means, key=means.get)
        std = statistics.stdev(values[best])
        assert (
            f"{word} reaches {means[best]:.2f} ± {std:.2f} % at learning rate {best:g}" in sentence
        )
    assert all("n = 3" in sentence for sentence in figures.takeaways())


def test_takeaway_of_one_network_a_point_and_of_unequally_many(figures):
    networks = figures.networks
    one_each = networks[networks["model"] == 0]
    assert "Figure 1 (one network a point): " in takeaway(BY_RATE[1], one_each)
    fewer = networks[(networks["lr"] == 500) | (networks["model"] < 2)]
    assert "Figure 1 (mean ± std, n = 2 to 3): " in takeaway(BY_RATE[1], fewer)


def points(**means) -> pd.DataFrame:
    """A curve, from means by learning rate: r500=90.0."""
    rates = [float(rate[1:]) for rate in means]
    return pd.DataFrame({"mean": list(means.values()), "std": float("nan")}, index=rates)


def test_learning_rates_close_to_the_best_are_named_without_those_between_that_are_not():
    assert tell("double-linear", points(r500=95.5, r1000=96.0, r2000=95.2)).endswith("500 to 2000")
    told = tell("double-linear", points(r500=96.0, r1000=90.0, r2000=96.5))
    assert told.endswith("at learning rate 2000 and stays within 1 point of it for 500, 2000 alone")


def test_a_field_alone_has_its_sentence(figures):
    linear = figures.networks[figures.networks["field"] == "double-linear"]
    sentence = takeaway(BY_RATE[1], linear)
    assert "linear reaches" in sentence
    assert "minus" not in sentence
    assert "nan" not in sentence
