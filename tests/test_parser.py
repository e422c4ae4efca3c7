"""The command line as a user meets it."""

import subprocess
import sys

import pytest
from conftest import PROJECT
from support.devices import device_file, measured

from devices.library import find
from utils.flags import flags_of
from utils.parser import make_parser, parse
from utils.run import Run
from utils.settings import Setting


def test_the_commands_of_the_paper_parse_as_they_stand():
    run = parse(
        "--lr 500 --field double-linear --task MNIST --var 0.2 --resistor_noise 0.015 "
        "--clipping 0.1".split()
    )
    (setting,) = run.settings
    assert (setting.lr, setting.var, setting.clipping) == (500.0, 0.2, 0.1)
    assert setting.voltage_noise == 1.5e-6
    assert run.n_models == 10


def test_defaults():
    run = parse([])
    (setting,) = run.settings
    assert setting.field == find("double-linear")
    assert (setting.task, setting.lr, setting.var, setting.clipping) == ("MNIST", 1000.0, 0.2, 0.0)
    assert (setting.resistor_noise, setting.voltage_noise, setting.write_noise) == (0.0, 0.0, 0.0)
    assert (setting.seed, setting.epochs, setting.batch_size) == (100, 20, 128)
    assert (setting.layers, setting.init, setting.input_scale, setting.padding) == (
        (512,),
        0.01,
        0.001,
        2,
    )
    assert (run.n_models, run.device) == (10, "auto")
    assert (str(run.data_dir), str(run.output_dir)) == ("datasets", "simulations")


def test_every_combination_is_a_setting():
    run = parse(
        "--lr 500 1000 --field double-linear double-exponential --var 0 0.2 "
        "--resistor_noise 0 0.015 --clipping 0 0.1 0.5".split()
    )
    assert len(run.settings) == len(set(run.settings)) == 2 * 2 * 2 * 2 * 3
    assert {s.voltage_noise for s in run.settings} == {0.0, 1.5e-6}


def test_other_flags_win_over_those_of_a_study():
    run = parse("--study figure1 --lr 500 --task Digits --n_models 3".split())
    assert [(s.field.name, s.lr, s.var) for s in run.settings] == [
        ("double-linear", 500.0, 0.2),
        ("double-exponential", 500.0, 0.2),
    ]
    assert run.n_models == 3
    ideal = parse("--study figure1 --var 0 --field double-linear".split())
    assert [(s.field.name, s.var) for s in ideal.settings] == [("double-linear", 0.0)] * 6


def test_a_setting_that_flags_leave_twice_in_a_study_is_trained_once():
    """Figure 3 has three thresholds; with one given in their place, they are one."""
    run = parse("--study figure3 --clipping 0.3 --lr 500".split())
    assert [(s.field.name, s.clipping) for s in run.settings] == [
        ("double-linear", 0.3),
        ("double-exponential", 0.3),
    ]


def test_two_fields_are_a_sweep_or_one_switched_setting():
    fields = "--field double-linear double-exponential --lr 500 1000"
    assert [(s.field_name, s.switched_at) for s in parse(fields.split()).settings[::2]] == [
        ("double-linear", None),
        ("double-exponential", None),
    ]
    run = parse(f"{fields} --time_switch 2 5 20".split())
    assert {s.field_name for s in run.settings} == {"double-linear-double-exponential"}
    assert [(s.lr, s.switched_at) for s in run.settings] == [
        (500.0, 10),
        (1000.0, 10),
        (500.0, 4),
        (1000.0, 4),
        (500.0, 1),
        (1000.0, 1),
    ]
    assert parse(f"{fields} --switch_epoch 19".split()).settings[0].switched_at == 19
    text = " ".join(make_parser().format_help().split())
    assert "setting of its own; with --time_switch or --switch_epoch, two of them are one" in text


def test_a_figures_study_may_be_switched():
    run = parse("--study figure1 --time_switch 2".split())
    assert [(s.lr, s.clipping, s.switched_at) for s in run.settings] == [
        (lr, 0.1, 10) for lr in (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)
    ]


@pytest.mark.parametrize(
    ("flags", "switches"),
    [("", [1, 2, 5, 10, 15]), ("--epochs 6", [1, 2, 5]), ("--time_switch 2 --epochs 9", [4])],
)
def test_the_switch_study_has_both_orders_and_each_field_alone(flags, switches):
    settings = parse(f"--study switch {flags}".split()).settings
    assert [(s.field_name, s.switched_at) for s in settings if s.lr == 1000.0] == [
        *(("double-linear-double-exponential", at) for at in switches),
        *(("double-exponential-double-linear", at) for at in switches),
        ("double-linear", None),
        ("double-exponential", None),
    ]
    assert {s.lr for s in settings} == {1000.0, 3000.0}
    assert {(s.var, s.resistor_noise, s.clipping) for s in settings} == {(0.2, 0.015, 0.1)}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("--lr 500 --lr 1000", "--lr: given twice; give it once"),
        ("--lr 500 --task Digits --lr=500", "--lr: given twice; give it once"),
        ("--study figure1 --study figure2", "--study: given twice; give it once"),
        ("--n_models 1 --n_models 2", "--n_models: given twice; give it once"),
        ("--layers 8 --layers 9", "--layers: given twice; give it once"),
        ("---clipping 0.1", "did you mean --clipping?"),
        ("--clip 0.1", "did you mean --clipping?"),
        ("--clip=0.1", "did you mean --clipping?"),
        ("-lr 500", "did you mean --lr?"),
        ("--resistor-noise 0.1", "did you mean --resistor_noise?"),
        ("--learning", "see --help"),
        ("--lr 500 ---clipping 0.1", "did you mean --clipping?"),
        ("500", "unexpected '500'"),
    ],
)
def test_a_flag_that_is_mistyped_or_given_twice_is_refused(arguments, hint, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(arguments.split())
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert hint in captured.err


def test_help_and_errors_come_before_torch(tmp_path):
    """The library of devices and device files are read without it."""
    file = str(device_file(tmp_path / "mine.json", measured("mine")))
    code = (
        "import sys\n"
        "import main\n"
        "for words in (['--help'], ['--field', 'double-linear', sys.argv[1], '--lr', '-1']):\n"
        "    try: main.main(words)\n"
        "    except SystemExit as stop: print('code', stop.code)\n"
        "assert {'devices.library', 'devices.device_file'} <= set(sys.modules)\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, file], cwd=PROJECT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if line.startswith("code")] == [
        "code 0",
        "code 2",
    ]
    assert result.stderr.startswith("main.py: error: --lr -1.0")


def test_help_groups_the_flags_with_units_and_defaults():
    text = make_parser().format_help()
    for group in ("device physics:", "network:", "training:", "run:"):
        assert group in text
    for words in ("arb. u.", "pulses per unit of gradient", "(default: 1000.0)"):
        assert words in " ".join(text.split())
    studies = text.partition("\nstudies:\n")[2].splitlines()
    names = [line.split()[0] for line in studies]
    expected = "figure1 figure2 figure3 own-device switch ablation map driving width"
    assert names == expected.split()
    assert all(len(line.split()) > 3 for line in studies)  # each with what it is about


def test_every_flag_of_the_table_is_an_argument_with_its_help():
    actions = {action.option_strings[-1]: action for action in make_parser()._actions}
    table = flags_of(Setting) | flags_of(Run)
    assert actions.keys() == {f"--{name}" for name in table} | {"--help", "--study"}
    for name, (flag, _) in table.items():
        assert flag.help in actions[f"--{name}"].help.replace("%%", "%")
        assert len(flag.help) > 10
