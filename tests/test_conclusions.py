"""The report in words: which networks it shows, what is missing, what follows."""

import statistics

import pandas as pd
import pytest
from conftest import setting_of
from support.simulated import EPOCHS, N_MODELS, RATES, from_files, report_on, untrained_report

from utils.parser import parse
from utils.plots.__main__ import make_parser
from utils.plots.accuracy import BY_RATE, conclusion, describe_best
from utils.plots.sections import SECTIONS
from utils.plots.statistics import describe_best_rate, rates_beyond

pytestmark = pytest.mark.usefixtures("svg_alone")


def test_what_is_missing_names_the_command_that_makes_it(report):
    line, *_ = report.missing("figure2")
    command = "figures/figure2.sh --resume --task Digits --epochs 4 --layers 16 --n_models 3"
    assert line == f"Figure 2: 8 of 12 settings are missing; train them with: {command}"
    run = parse(["--study", "figure2", *command.split()[1:]])
    assert run.n_models == N_MODELS
    present = set(report.networks.main["setting"])
    assert sum(setting in present for setting in run.settings) == 4


def test_ten_networks_a_setting_need_no_flag(report):
    """It is what the scripts train by themselves."""
    ten = pd.concat([report.networks.main] * 4, ignore_index=True)
    ten["model"] = range(len(ten))
    ten = ten[ten.groupby("setting", sort=False).cumcount() < 10]
    assert report.networks.flags(ten) == " --task Digits --epochs 4 --layers 16"


def test_what_is_drawn_is_described(report):
    assert report.networks.describe() == [
        f"Drawn: 60 networks of task Digits, epochs {EPOCHS}, layers 16, batch_size 128, init "
        "0.01, input_scale 0.001, padding 2.",
        "Not drawn: 1 network (epochs 1); --epochs 1 draws them.",
    ]


def test_networks_without_a_flag_that_most_have_can_be_drawn(tmp_path):
    settings = [
        setting_of(device_noise=noise, lr=rate)
        for noise, rates in ((True, (500.0, 1000.0)), (False, (500.0,)))
        for rate in rates
    ]
    report = untrained_report(tmp_path, settings, lambda setting, model: 90.0 + model)
    (line,) = [line for line in report.networks.describe() if line.startswith("Not drawn")]
    assert line.endswith("(no_device_noise); --no_device_noise draws them.")
    assert vars(make_parser().parse_args(["--no_device_noise"])) == {"device_noise": False}


def test_an_empty_folder_gives_commands_and_no_error(tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    report = report_on(tmp_path / "nothing", tmp_path / "figures", task="Digits")
    assert report.settings().empty
    assert report.problems().empty
    for name in SECTIONS:
        assert (report.show(name) is not None) == (name == "devices")  # needs no simulations
    output = capsys.readouterr().out
    for name in ("figure1", "figure2", "figure3", "switch", "ablation", "map", "width"):
        assert f"figures/{name}.sh --resume --task Digits\n" in output
    assert all("no simulations" in sentence for sentence in report.conclusions())
    assert report.epochs() is None
    assert "python main.py --task Digits" in capsys.readouterr().out
    assert report.table("ablation").empty
    assert report.table("width").empty


def test_the_conclusion_is_computed_from_the_curves_with_their_number(report, simulations):
    sentence = conclusion(BY_RATE[1], report.networks.main)
    assert sentence.startswith("Figure 1 (mean ± std, n = 3; one test image is 0.34 points): ")
    for field, word in (("double-linear", "linear"), ("double-exponential", "exponential")):
        values = from_files(simulations, field, 0.1, 0.2)
        means = {rate: statistics.fmean(values[rate]) for rate in RATES}
        best = max(means, key=means.get)
        std = statistics.stdev(values[best])
        assert (
            f"{word} reaches {means[best]:.2f} ± {std:.2f} % at learning rate {best:g}, the "
            f"{'lowest' if best == 500 else 'highest'} tried" in sentence
        )
    assert all("n = 3" in sentence for sentence in report.conclusions())


def networks(**accuracies) -> pd.DataFrame:
    """A network for each learning rate, by its accuracy: r500=90.0."""
    rates = [float(rate[1:]) for rate in accuracies]
    return pd.DataFrame({"lr": rates, "accuracy": list(accuracies.values())})


def test_learning_rates_close_to_the_best_are_named_without_those_between_that_are_not():
    three = networks(r500=95.5, r1000=96.0, r2000=95.2)
    assert describe_best("double-linear", three).endswith("500 to 2000")
    apart = describe_best("double-linear", networks(r500=96.0, r1000=90.0, r2000=96.5))
    assert apart.endswith(
        "2000, the highest tried, and stays within 1 point of it for 500, 2000 alone"
    )


@pytest.mark.parametrize(
    ("accuracies", "beyond", "words"),
    [
        ({"r500": 1, "r1000": 2, "r2000": 1}, [], "1000"),
        ({"r500": 2, "r1000": 1}, [250, 125], "500, the lowest tried"),
        ({"r500": 1, "r1000": 2}, [2000, 4000], "1000, the highest tried"),
        ({"r500": 1}, [250, 1000], "500, the only one tried"),
    ],
)
def test_a_best_rate_at_an_edge_is_named_with_rates_beyond(accuracies, beyond, words):
    assert rates_beyond(networks(**accuracies)) == beyond
    assert describe_best_rate(networks(**accuracies)) == words


def test_a_field_alone_has_its_sentence(report):
    linear = report.networks.main[report.networks.main["field"] == "double-linear"]
    sentence = conclusion(BY_RATE[1], linear)
    assert "linear reaches" in sentence
    assert "minus" not in sentence
    assert "nan" not in sentence
