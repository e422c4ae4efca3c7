"""One run of networks with different hidden layers: jobs, memory, folders, and the same results."""

from dataclasses import replace

import torch
from conftest import members_of, setting_of

from utils.compute.compiler import Compiler
from utils.compute.pool import run_jobs
from utils.records.archive import Archive
from utils.records.folders import create_folders, matching_folders
from utils.records.session import Session
from utils.records.simulations import Simulations
from utils.settings import Member, Setting, Task
from utils.studies import STUDIES
from utils.study import Study
from utils.training import plan
from utils.training.job import JobRunner
from utils.training.machine import Machine, Sizes
from utils.training.plan import Job, Plan

LAYERS = ((24,), (48,), (24, 12))
CPU = Machine(is_gpu=False, cores=2, free_bytes=1 << 40)
GPU = Machine(is_gpu=True, cores=2, free_bytes=1 << 40)


def settings(**changes):
    return [setting_of(layers=layers, **changes) for layers in LAYERS]


def plan_of(settings: list[Setting], machine: Machine = CPU, compile: str = "auto") -> Plan:
    """Return a plan for 144 inputs, 4 classes and 200 images."""
    return Plan(tuple(settings), Sizes(144, 4, 200), machine, compile)


def tasks_of(settings: list[Setting], n_models: int) -> list[Task]:
    return [Task(member) for setting in settings for member in members_of(setting, n_models)]


def test_memory_is_planned_for_the_largest_network():
    """144 inputs, 4 classes: 148 x 48 weights of 84 bytes, 8 values of 52 units for 1000 images."""
    mine = plan_of(settings())
    assert mine.memory(1) == 148 * 48 * 84 + 4 * 8 * 52 * 1000
    assert mine.memory(1, (24, 12)) == (144 * 24 + 24 * 12 + 12 * 4) * 84 + 4 * 8 * 40 * 1000


def test_the_largest_networks_start_first():
    jobs = plan_of(settings()).jobs(tasks_of(settings(), 2))
    assert [job.setting.layers for job in jobs] == [(48,)] * 2 + [(24, 12)] * 2 + [(24,)] * 2


def test_on_a_gpu_only_networks_of_equal_layers_train_side_by_side():
    mine, tasks = plan_of(settings(), GPU), tasks_of(settings(), 3)
    jobs = mine.jobs(tasks)
    assert [(job.setting.layers, len(job.members)) for job in jobs] == [
        ((48,), 3),
        ((24, 12), 3),
        ((24,), 3),
    ]
    assert all(len({member.setting.layers for member in job.members}) == 1 for job in jobs)
    room = (mine.memory(2) + 1) / plan.SHARE  # for two of the largest
    jobs = plan_of(settings(), replace(GPU, free_bytes=room)).jobs(tasks)
    assert [len(job.members) for job in jobs if job.setting.layers == (48,)] == [2, 1]
    assert [len(job.members) for job in jobs if job.setting.layers == (24,)] == [3]


def test_compiling_is_decided_for_each_network_by_its_own_work():
    """7 mini-batches an epoch; 148 x 48 = 7104 weights: 1e8 updates after 2011 epochs."""
    mine = plan_of(settings(epochs=2011))
    assert [mine.compiles(setting) for setting in settings(epochs=2011)] == [False, True, False]
    assert mine.compiled
    for setting in settings(epochs=2011):
        assert plan_of([setting]).compiled == mine.compiles(setting)
    assert not plan_of(settings(epochs=2010)).compiled
    assert all(map(plan_of(settings(), compile="on").compiles, settings()))
    assert [job.compiled for job in mine.jobs(tasks_of(settings(epochs=2011), 1))] == [
        True,
        False,
        False,
    ]


def test_settings_of_one_name_have_folders_of_their_own(tmp_path):
    folders = create_folders(tmp_path, settings(), "0" * 64)
    assert len({folder.id for folder in folders}) == 3
    for folder, setting in zip(folders, settings(), strict=True):
        assert matching_folders(tmp_path, setting, "0" * 64) == [folder]


def test_each_job_is_compiled_or_not_as_planned(currents, tmp_path, stop):
    """And so its record says, and its checkpoints, beside others that are not."""
    tried = []

    class Told(Compiler):
        def __call__(self, module, *inputs):
            tried.append(module)
            return module(*inputs)

    small, large, _ = settings(epochs=1)
    folders = create_folders(tmp_path, [small, large], "0" * 64)
    sessions = {
        setting: Session({}, {"compiled": setting == large, "threads": 1})
        for setting in (small, large)
    }
    archive = Archive(dict(zip(sessions, folders, strict=True)), sessions)
    work = JobRunner(currents, Told(enabled=True), archive, 5.0)
    list(run_jobs(work, [Job((Member(small, 0),))], stop))
    assert not tried
    list(run_jobs(work, [Job((Member(large, 0),), compiled=True)], stop))
    assert tried
    for setting, compiled in ((small, False), (large, True)):
        member = Member(setting, 0)
        assert archive.record(member).content["compiled"] == compiled
        session = sessions[setting]
        assert session.differences([session]) == []
        other = replace(session, rounding={"compiled": not compiled, "threads": 1})
        assert session.differences([session, other]) == ["compiled"]


def test_a_study_of_layers_trains_each_as_it_is_alone(simulate, monkeypatch):
    sweeps = [{"layers": layers, "lr": (4000.0,)} for layers in ((8,), (16, 8))]
    monkeypatch.setitem(STUDIES, "width", Study("width", "", sweeps))
    both = {tuple(record.json["layers"]): record for record in simulate("--study width")}
    assert set(both) == {(8,), (16, 8)}
    header, *rows = simulate.table.splitlines()
    assert header.split()[5] == "layers"
    assert [row.split()[5:7] for row in rows] == [["8", "1"], ["16", "8"]]
    networks = Simulations.read(both[8,].folder.parent).networks
    assert set(networks["layers"]) == {(8,), (16, 8)}
    for layers, record in both.items():
        (alone,) = simulate(f"--lr 4000 --layers {' '.join(map(str, layers))}")
        assert alone.json["accuracy"] == record.json["accuracy"]
        assert alone.state.keys() == record.state.keys()
        for name, tensor in alone.state.items():
            assert torch.equal(tensor, record.state[name])
