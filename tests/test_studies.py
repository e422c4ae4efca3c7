"""Studies: their settings by hand, and the command that trains what a figure is missing."""

from itertools import product
from operator import attrgetter

import pytest
from conftest import PROJECT
from support.devices import OTHERS, device_file, measured
from support.simulated import report_on, untrained_report

from devices.library import find
from devices.scheme import CELLS
from utils.errors import UserError
from utils.parser import parse
from utils.studies import STUDIES
from utils.study import without

pytestmark = pytest.mark.usefixtures("svg_alone")
FIELDS = ("double-linear", "double-exponential")
LINEAR = {"field": (find("double-linear"),)}
RULES = [
    ("none", False),
    ("nearest", False),
    ("stochastic", False),
    ("none", True),
    ("nearest", True),
]
PAPERS = (0.2, 0.015, 0.1)  # variability, read noise and smallest pulse
NOISES = "var resistor_noise clipping"
SIZES = [(64,), (128,), (256,), (512,), (1024,), (256, 256), (256, 256, 256)]
RATES = {250.0, 500.0, 1000.0, 2000.0, 4000.0}
FIGURE_1_RATES = 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0


def values(settings, names: str) -> set:
    """What these fields of the settings are together."""
    return set(map(attrgetter(*names.split()), settings))


@pytest.mark.parametrize(
    ("study", "count", "expected"),
    [
        ("figure1", 2 * 6, {NOISES: {PAPERS}, "field.name lr": {*product(FIELDS, FIGURE_1_RATES)}}),
        ("figure2", 2 * 6, {NOISES: {(0, 0, 0)}}),
        ("figure3", 2 * 6 * 3, {NOISES: {(0, 0, 0.1), (0, 0, 0.2), (0, 0, 0.5)}}),
        ("map", 13 * 6, {NOISES: {PAPERS}, "lr": {*RATES, 8000.0}}),
        ("ablation", 17, {
            f"field.name {NOISES} write_noise": {
                *product(FIELDS, (0, 0.2), (0, 0.015), (0, 0.1), [0]),
                ("double-ideal", 0, 0, 0, 0),
            },
            "lr": {1000.0},
        }),
        ("width", 4 * 3 * 3 + 3 * (2 * 3 * 3 * 3 + 3 * 3), {
            "layers": {*SIZES},
            f"field.name {NOISES}": {(field, *PAPERS) for field in FIELDS}
            | {("double-ideal", 0, 0, 0)},
        }),
        # two fields x three cells x five rules x five rates, and the ideal network at each rate
        ("driving", 2 * 3 * 5 * 5 + 5, {
            "lr": RATES,
            "cell rounding accumulate": {(cell, *rule) for cell in CELLS for rule in RULES},
            f"field.name {NOISES}": {(field, *PAPERS) for field in FIELDS}
            | {("double-ideal", 0, 0, 0)},
        }),
    ],
)  # fmt: skip
def test_settings_by_hand(study, count, expected):
    settings = STUDIES[study].settings()
    assert len(settings) == count
    for names, expected_settings in expected.items():
        assert values(settings, names) == expected_settings
    assert {s.voltage_noise for s in settings if not s.resistor_noise} <= {0.0}


def test_more_settings_by_hand():
    """ν of the map; fresh weights and rules of deep networks; the ideal network has one cell."""
    fields = values(STUDIES["map"].settings(), "field.name")
    assert fields == {f"double-curved-{nu}.0" for nu in range(-4, 9)}
    deep = [s for s in STUDIES["width"].settings() if s.layers == (256, 256)]
    deep = [s for s in deep if s.field.name == "double-linear"]
    assert values(deep, "init rounding accumulate") == {
        (init, *rule) for init in (0.01, 0.05, 0.2) for rule in (RULES[0], RULES[2], RULES[3])
    }
    assert values(STUDIES["width"].settings({"task": "Fashion"}), "task") == {"Fashion"}
    ideal = [s for s in STUDIES["driving"].settings() if s.field.name == "double-ideal"]
    assert [(s.lr, s.cell) for s in ideal] == [(rate, "one-way") for rate in sorted(RATES)]


def test_the_ledger_is_counted_where_a_study_needs_it():
    assert parse(["--study", "driving"]).ledger
    assert not parse(["--study", "figure1"]).ledger


# Other flags


def test_an_ablation_switches_off_the_values_of_flags():
    run = parse("--study ablation --field double-linear --var 0.3 --write_noise 0.01".split())
    assert len(run.settings) == 17
    names = f"field.name {NOISES} write_noise"
    assert values(run.settings[:1], names) == {("double-linear", 0.3, 0.015, 0.1, 0.01)}
    assert values(run.settings, "var") == {0.0, 0.3}
    ablation = STUDIES["ablation"]
    assert len(ablation.settings({**LINEAR, "clipping": [0.0]})) == 4 + 1
    with pytest.raises(UserError, match=r"--var: --study ablation takes one value.* given 2"):
        ablation.settings({"var": [0.1, 0.2]})


def test_an_ablation_of_a_device_file_switches_off_the_measured_values(tmp_path):
    """Write noise was measured and joins; what was not measured is that of figure 1."""
    device = measured("mine", OTHERS["table"].response, 0.3, None, 0.02)
    file = device_file(tmp_path / "x.json", device)
    settings = STUDIES["ablation"].settings({"field": [find(str(file))]})
    assert len(settings) == 17
    names = f"field.name {NOISES} write_noise"
    assert values(settings[:1], names) == {("mine", 0.3, 0.015, 0.1, 0.02)}
    assert settings[0].var == device.variability.value


def test_a_rule_goes_with_the_smallest_pulse():
    """Rounding and accumulator have no effect without it: those settings have the paper's rule."""
    given = {**LINEAR, "accumulate": (True,), "rounding": ("nearest",)}
    settings = STUDIES["ablation"].settings(given)
    rules = {(bool(s.clipping), s.rounding, s.accumulate) for s in settings}
    assert rules == {(True, "nearest", True), (False, "none", False)}
    assert len(settings) == 8 + 1
    full = next(s for s in settings if s.clipping and s.var and s.resistor_noise)
    assert without(full, ["clipping"]) in settings
    assert without(full, ["var"]).accumulate


def test_the_ideal_network_has_no_device_noise():
    settings = STUDIES["width"].settings({"device_noise": True})
    assert {(s.field.name == "double-ideal", s.device_noise) for s in settings} == {
        (True, False),
        (False, True),
    }
    with pytest.raises(UserError, match="--device_noise: has no effect"):
        STUDIES["figure2"].settings({"device_noise": True})


def test_a_device_of_one_branch_is_driven_in_one_cell_with_its_measured_noises(tmp_path):
    """Its range has 20 pulses, so that rates are 20 / 27 of those of the built-in devices."""
    path = device_file(tmp_path / "mine.json", measured("mine", read_noise=0.01))
    field, driving = (find(str(path)),), STUDIES["driving"]
    of_file = [s for s in driving.settings({"field": field}) if s.field.name == "mine"]
    assert len(of_file) == 5 * 5
    assert values(of_file, "cell resistor_noise clipping") == {("one-way", 0.01, 0.1)}
    assert min(s.lr for s in of_file) == pytest.approx(250 * 20 / 27, rel=1e-3)
    with pytest.raises(UserError, match="--cell reference: only the falling branch of mine"):
        driving.settings({"field": field, "cell": ("reference",)})


def test_other_flags_win_when_driving():
    given = {"cell": ("both-ways",), "rounding": ("nearest",), "lr": (500.0,)}
    settings = STUDIES["driving"].settings(given)
    assert [(s.field.name, s.rounding, s.accumulate) for s in settings] == [
        (field, "nearest", accumulate) for field in FIELDS for accumulate in (False, True)
    ]


# What is missing


def accuracy(setting, model: int) -> float:
    """Best at 1000; spread over seeds."""
    return 90.0 - abs(setting.lr - 1000) / 1000 + model


def check_command(line: str, study: str, flags: str, settings) -> None:
    """Assert that a line ends with the command of a study with these flags, for these settings."""
    script, *words = line.rpartition("; train them with: ")[2].split()
    assert (PROJECT / script).exists()
    assert (script, " ".join(words)) == (f"figures/{study}.sh", f"--resume {flags}")
    assert set(parse(["--study", study, *words]).settings) == set(settings)


GIVEN = (
    "--field double-linear --lr 1000 --var 0.2 --resistor_noise 0.015 --write_noise 0 "
    "--clipping 0.1"
)


@pytest.mark.parametrize(
    ("rule", "is_there", "missing", "flags"),
    [
        ({}, lambda s: s.clipping, "5 of 9", GIVEN),
        (
            {"accumulate": (True,)},
            lambda s: s.clipping or s.var or s.resistor_noise,
            "2 of 9",
            f"{GIVEN} --accumulate on",
        ),
    ],
    ids=["the paper's rule", "an accumulator"],
)
def test_a_part_is_drawn_and_the_command_for_the_rest_is_named(
    rule, is_there, missing, flags, tmp_path
):
    settings = STUDIES["ablation"].settings({**LINEAR, "epochs": 2, **rule})
    report = untrained_report(tmp_path, list(filter(is_there, settings)), accuracy)
    (shown,) = report.select("ablation")
    assert shown.full.accumulate == bool(rule)
    assert report.draw("ablation") is not None
    assert {path.stem for path in report.folder.iterdir()} == {"ablation"}
    (line,) = report.missing("ablation")
    assert line.startswith(f"Ablation: {missing} settings are missing; train them with: ")
    check_command(line, "ablation", f"{flags} --epochs 2 --n_models 3", settings)


@pytest.mark.parametrize(
    ("study", "count"), [("ablation", 17), ("map", 78), ("width", 225), ("driving", 155)]
)
def test_without_simulations_the_command_is_named(study, count, tmp_path):
    (tmp_path / "out").mkdir()
    report = report_on(tmp_path / "out", tmp_path / "figures", task="Digits")
    assert report.draw(study) is None
    (line,) = report.missing(study)
    assert f": {count} of {count} settings are missing; train" in line
    check_command(line, study, "--task Digits", STUDIES[study].settings({"task": "Digits"}))
