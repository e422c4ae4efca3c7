"""A new flag is one entry of the table: everything that lists flags follows."""

import math
from dataclasses import dataclass, replace

import pytest
from conftest import setting_of
from support import untrained_runs

from utils import parser, sweeps
from utils.compute.compiler import Compiler
from utils.errors import UserError
from utils.flags import PHYSICAL, Stored, flag
from utils.plots import style
from utils.plots.networks import Networks
from utils.records import setting_json
from utils.records.columns import series_columns, setting_columns
from utils.records.simulations import Simulations
from utils.records.summary import flag_columns
from utils.settings import Member, Setting, Task, imperfections
from utils.training.compiling import program_key
from utils.training.dry_run import cost
from utils.training.ensemble import Ensemble
from utils.training.machine import Machine, Sizes
from utils.training.plan import Job, Plan
from utils.training.trainer import Trainer
from utils.training.verification import first_mismatch


@dataclass(frozen=True, kw_only=True)
class MadeUp(Setting):
    """A setting with a noise, a choice, a switch and a limit that nobody has thought of yet."""

    hum: float = flag(
        0.0,
        PHYSICAL,
        "a noise",
        float,
        sweeps=True,
        at_least=0,
        stored=Stored("hum", slug="-hum-{}", omit_if=0.0, added_later=True),
        physics=True,
        imperfection=True,
        column="hum",
        label="mains hum",
    )
    shape: str = flag(
        "round",
        PHYSICAL,
        "a choice",
        str,
        metavar="SHAPE",
        sweeps=True,
        choices=("round", "square", "oval"),
        stored=Stored(
            "optimizer_parameters.shape", slug="-shape-{}", omit_if="round", added_later=True
        ),
        physics=True,
        column="shape",
        label="shape",
    )
    echo: bool = flag(
        False,
        PHYSICAL,
        "a switch",
        bool,
        sweeps=True,
        stored=Stored("optimizer_parameters.echo", slug="-echo", omit_if=False, added_later=True),
        physics=True,
        column="echo",
        label="echo",
    )
    limit: float = flag(
        math.inf,
        PHYSICAL,
        "a limit",
        float,
        above=0,
        stored=Stored(
            "optimizer_parameters.limit",
            slug="-limit-{}",
            omit_if=math.inf,
            to_json=lambda value: None if value == math.inf else value,
            from_json=lambda value: math.inf if value is None else float(value),
            added_later=True,
        ),
    )


NEW = ("hum", "shape", "echo", "limit")


@pytest.fixture(autouse=True)
def new_flags(monkeypatch):
    """The table with their entries, as if they stood in utils/settings.py."""
    for name in NEW:
        field = MadeUp.__dataclass_fields__[name]
        monkeypatch.setitem(Setting.__dataclass_fields__, name, field)
        monkeypatch.setattr(Setting, name, field.default, raising=False)
    for module in (setting_json, sweeps):
        monkeypatch.setattr(module, "Setting", MadeUp)


def made(**changes) -> Setting:
    small = setting_of()
    common = {
        name: getattr(small, name) for name in Setting.__dataclass_fields__ if name not in NEW
    }
    return replace(MadeUp(**common), **changes)


def job(*changes: dict) -> Job:
    return Job(tuple(Member(made(**flags), 0) for flags in changes))


@pytest.mark.parametrize(
    "changes", [{"hum": 0.5}, {"shape": "square"}, {"shape": "oval"}, {"echo": True}]
)
def test_compiled_steps_and_their_times_depend_on_a_new_flag_of_the_physics(changes):
    assert program_key(job(changes)) != program_key(job({}))
    assert cost(job(changes)) != cost(job({}))


def test_a_size_alone_needs_no_other_program():
    assert program_key(job({"hum": 0.5}, {"hum": 0.5})) == program_key(
        job({"hum": 0.1}, {"hum": 0.0})
    )
    assert program_key(job({"limit": 3.0})) == program_key(job({}))
    assert program_key(job({"shape": "oval"})) != program_key(job({"shape": "square"}))


def test_networks_of_other_choices_train_apart():
    tasks = [Task(Member(made(**flags), 0)) for flags in ({}, {"hum": 0.5}, {"shape": "oval"})]
    machine = Machine(is_gpu=True, cores=1, free_bytes=1 << 40)
    plan = Plan(tuple(task.member.setting for task in tasks), Sizes(144, 4, 200), machine)
    assert sorted(len(job.members) for job in plan.jobs(tasks)) == [1, 2]


def test_the_check_on_a_gpu_sees_a_new_flag_that_a_compiled_step_leaves_out(currents, monkeypatch):
    """The check compares all that a step changes with plain steps, and needs no list of flags."""
    step = Ensemble.forward

    def with_hum(ensemble, current, labels):
        factors = step(ensemble, current, labels)
        for name, tensor in ensemble.named_buffers():
            if name.endswith("weight1"):
                tensor.mul_(1 - 0.01 * made(hum=0.5).hum)
        return factors

    class LeavesHumOut(Compiler):
        def __call__(self, module, *inputs):
            return step(module, *inputs) if isinstance(module, Ensemble) else module(*inputs)

    trainer = Trainer(job({"hum": 0.5}).members, currents, LeavesHumOut(enabled=False))
    assert first_mismatch(trainer) is None
    monkeypatch.setattr(Ensemble, "forward", with_hum)
    assert "weight1: off by" in first_mismatch(trainer)


def test_the_table_of_a_run_has_a_column_where_a_new_flag_is_used():
    plain = flag_columns([made()])
    assert not {"hum", "shape", "echo"} & set(plain)
    columns = flag_columns([made(hum=0.5), made(echo=True)])
    assert columns == plain | {"hum": "hum", "echo": "echo"}


def test_tables_and_titles_of_figures_follow():
    assert "hum" in imperfections()
    assert "hum" in setting_columns()
    assert set(NEW) - {"hum"} <= set(series_columns())
    networks = untrained_runs.table([made(hum=0.5, shape="oval", echo=True)], lambda *_: 90.0)
    assert style.physics(networks).endswith("mains hum 0.5, shape oval, echo")
    assert "hum" not in style.physics(untrained_runs.table([made()], lambda *_: 90.0))


def test_simulations_are_read_back_with_new_flags_and_never_share_a_mean(tmp_path):
    settings = [made(), made(hum=0.5), made(shape="oval"), made(echo=True), made(limit=3.0)]
    untrained_runs.write(tmp_path, settings, lambda setting, model: 90.0)
    read = Simulations.read(tmp_path)
    assert list(read.problems["reason"]) == []
    assert set(read.networks["setting"]) == {
        replace(setting, seed=Setting.seed) for setting in settings
    }
    table = read.table()
    assert len(table) == len(settings)
    assert set(NEW) <= set(table.columns)
    assert len(Networks(read).main) == 2 * 3  # which differ in an imperfection alone
    folders = "\n".join(sorted(path.name for path in tmp_path.iterdir()))
    for part in ("-hum-0.5\n", "-shape-oval", "-echo", "-limit-3.0"):
        assert part in folders


def test_a_new_choice_and_a_new_switch_sweep_on_the_command_line():
    parsed = parser.parse("--shape round oval --echo off on --hum 0 0.1 --limit 2".split())
    combinations = {(setting.shape, setting.echo, setting.hum) for setting in parsed.settings}
    assert len(parsed.settings) == len(combinations) == 8
    assert {setting.limit for setting in parsed.settings} == {2.0}
    assert [setting.echo for setting in parser.parse(["--echo"]).settings] == [True]
    with pytest.raises(UserError, match="--shape flat: unknown; the valid ones: round, square"):
        made(shape="flat")
    with pytest.raises(UserError, match="--limit -1"):
        made(limit=-1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--echo maybe", "argument --echo: invalid choice: 'maybe'"),
        ("--echo on on", "given 2 times"),
    ],
)
def test_a_switch_that_sweeps_refuses_what_is_neither_on_nor_off(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        parser.parse(words.split())
    assert message in capsys.readouterr().err
