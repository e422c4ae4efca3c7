"""The plan of a run: networks that train side by side, workers and threads, compiling."""

from dataclasses import replace

import pytest
from conftest import members_of, setting_of

from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.errors import UserError
from utils.settings import Member, Setting, Task
from utils.training import plan
from utils.training.dry_run import Probe
from utils.training.machine import Machine, Sizes
from utils.training.plan import Job, Plan

SIZES = Sizes(n_inputs=144, n_classes=4, n_train=200)
CPU = Machine(is_gpu=False, cores=1, free_bytes=1 << 40)
GPU = Machine(is_gpu=True, cores=1, free_bytes=1 << 40)


def plan_of(machine: Machine = CPU, compile: str = "auto", settings=(), **changes) -> Plan:
    """Return the plan of some settings, or of one with some changes."""
    return Plan(tuple(settings) or (setting_of(**changes),), SIZES, machine, compile)


def with_room_for(networks: int, planned: Plan) -> Plan:
    """Return a machine into whose memory n networks fit, but not one more."""
    first, second = planned.memory(1), planned.memory(2)
    free = (first + (networks - 1) * (second - first) + 1) / plan.SHARE
    return replace(planned, machine=replace(planned.machine, free_bytes=free))


def tasks_of(members, step_of=lambda member: 0) -> list[Task]:
    return [Task(member, step_of(member)) for member in members]


def test_the_memory_of_a_network_is_that_of_its_weights_and_activations():
    """(144 x 24 + 24 x 4) weights of 84 bytes; 8 values of 28 units for a test batch of 1000."""
    of_a_network = 3552 * 84 + 4 * 8 * 28 * 1000
    for networks in (1, 2, 7):
        beside = (200 << 20) * (networks - 1)  # of processes; on a GPU there are none
        assert plan_of(CPU).memory(networks) == networks * of_a_network + beside
        assert plan_of(GPU).memory(networks) == networks * of_a_network


def test_wear_takes_memory_of_its_own():
    """Pulses of two devices in double precision, refreshes in single: 20 bytes a weight."""
    worn = replace(plan_of(), ledger=LedgerLevel.WEAR)
    assert worn.memory(1) - plan_of().memory(1) == 3552 * 20


def test_a_batch_larger_than_the_training_set_is_planned_as_the_training_set(monkeypatch):
    monkeypatch.setattr(plan, "TEST_BATCH", 1)
    expected = plan_of(batch_size=200).memory(1)
    assert plan_of(batch_size=100_000_000).memory(1) == expected
    assert plan_of(batch_size=100).memory(1) == expected - 4 * 8 * 28 * 100


def test_a_network_larger_than_the_memory_is_refused():
    """148 million weights of 84 bytes, and 8 values of a million units for 1000 images."""
    message = r"needs 41\.4 GiB of memory, 1\.5 GiB are free; choose smaller --layers"
    with pytest.raises(UserError, match=message):
        plan_of(replace(CPU, free_bytes=3 << 29), layers=(1_000_000,))


@pytest.mark.parametrize("networks", [1, 3, 10])
def test_networks_fit_as_long_as_there_is_memory(networks):
    for planned in (plan_of(CPU), plan_of(GPU)):
        assert with_room_for(networks, planned).at_once() == networks


def test_even_one_network_that_hardly_fits_is_tried():
    """Several processes share the memory, of which one alone would have enough."""
    planned = with_room_for(1, plan_of())
    assert replace(planned, machine=replace(planned.machine, processes=8)).at_once() == 1


@pytest.mark.parametrize(
    ("cores", "jobs", "workers", "threads"),
    [
        (1, 10, 1, 1),
        (2, 1, 1, 2),
        (2, 2, 2, 1),
        (2, 10, 2, 1),
        (3, 2, 2, 1),
        (4, 2, 2, 2),
        (8, 10, 8, 1),
        (16, 10, 10, 1),
        (20, 10, 10, 2),
        (64, 10, 10, 6),
        (64, 100, 64, 1),
        (8, 0, 1, 8),
    ],
)
def test_a_worker_for_every_core_and_the_cores_for_all_workers(cores, jobs, workers, threads):
    assert plan_of(replace(CPU, cores=cores)).workers(jobs) == (workers, threads)


def test_memory_limits_the_workers():
    planned = with_room_for(4, plan_of(replace(CPU, cores=9)))
    assert planned.workers(30) == (4, 2)
    assert planned.workers(3) == (3, 3)


def test_a_gpu_has_one_process():
    assert plan_of(replace(GPU, cores=8)).workers(10) == (1, 8)
    assert plan_of(replace(GPU, cores=8)).threads is None


def test_where_results_depend_on_threads_one_process_trains_with_all():
    planned = plan_of(replace(CPU, cores=8, is_repeatable=False))
    assert planned.workers(10) == (1, 8)
    assert planned.threads == 8  # then they decide the rounding
    assert plan_of(replace(CPU, cores=8)).threads is None


def test_on_a_cpu_each_network_is_a_job():
    members = [Member(setting_of(lr=lr), model) for lr in (1.0, 2.0) for model in range(5)]
    jobs = replace(plan_of(compile="on"), ledger=LedgerLevel.WEAR).jobs(tasks_of(members))
    assert jobs == [Job((member,), 0, True, LedgerLevel.WEAR) for member in members]


def test_on_a_gpu_networks_train_side_by_side_as_many_as_fit():
    members = [Member(setting_of(lr=lr), model) for lr in (1.0, 2.0) for model in range(5)]
    jobs = with_room_for(4, plan_of(GPU)).jobs(tasks_of(members))
    assert [len(job.members) for job in jobs] == [4, 4, 2]
    assert [member for job in jobs for member in job.members] == members
    assert with_room_for(100, plan_of(GPU)).jobs(tasks_of(members)) == [Job(tuple(members))]


def test_networks_of_other_devices_or_steps_are_other_jobs():
    fields = ("double-linear", "double-exponential", "double-linear")
    settings = [setting_of(field=field, lr=float(lr)) for lr, field in enumerate(fields)]
    members = [member for setting in settings for member in members_of(setting, 3)]

    def step_of(member):
        return 70 * (member.model == 1)

    jobs = plan_of(GPU).jobs(tasks_of(members, step_of))
    assert sorted(len(job.members) for job in jobs) == [1, 2, 2, 4]
    for job in jobs:
        assert {step_of(member) for member in job.members} == {job.step}
        assert len({member.setting.field for member in job.members}) == 1
    assert sorted((m for job in jobs for m in job.members), key=members.index) == members


def test_networks_that_are_switched_otherwise_are_other_jobs():
    """Constants may differ before and after, families and the epoch may not."""
    pairs = [
        ("double-linear", "double-exponential"),
        ("double-linear", "double-curved-1"),
        ("double-linear", "double-ideal"),
        ("double-exponential", "double-linear"),
    ]
    settings = [setting_of(field=a, second=b, epochs=9, switch_epoch=3) for a, b in pairs]
    settings += [
        setting_of(field="double-linear", epochs=9),
        setting_of(field="double-linear", epochs=9, switch_epoch=4),
        setting_of(field="double-linear", epochs=9, time_switch=3),  # epoch 3, too
    ]
    jobs = plan_of(GPU).jobs(tasks_of(Member(setting, 0) for setting in settings))
    together = [{settings.index(member.setting) for member in job.members} for job in jobs]
    assert sorted(together, key=min) == [{0, 1, 6}, {2}, {3}, {4}, {5}]


def sizes(**changes) -> list[Setting]:
    """Return settings of networks of three sizes."""
    return [setting_of(layers=layers, **changes) for layers in ((24,), (48,), (24, 12))]


def members_of_each(settings, n_models: int) -> list[Member]:
    return [member for setting in settings for member in members_of(setting, n_models)]


def test_memory_is_planned_for_the_largest_network():
    """144 inputs, 4 classes: 148 x 48 weights of 84 bytes, 8 values of 52 units for 1000 images."""
    planned = plan_of(settings=sizes())
    assert planned.memory(1) == 148 * 48 * 84 + 4 * 8 * 52 * 1000
    assert planned.memory(1, (24, 12)) == (144 * 24 + 24 * 12 + 12 * 4) * 84 + 4 * 8 * 40 * 1000


def test_the_largest_networks_start_first():
    jobs = plan_of(settings=sizes()).jobs(tasks_of(members_of_each(sizes(), 2)))
    assert [job.setting.layers for job in jobs] == [(48,)] * 2 + [(24, 12)] * 2 + [(24,)] * 2


def test_on_a_gpu_only_networks_of_equal_layers_train_side_by_side():
    planned, tasks = plan_of(GPU, settings=sizes()), tasks_of(members_of_each(sizes(), 3))
    jobs = planned.jobs(tasks)
    assert [(job.setting.layers, len(job.members)) for job in jobs] == [
        ((48,), 3),
        ((24, 12), 3),
        ((24,), 3),
    ]
    assert all(len({member.setting.layers for member in job.members}) == 1 for job in jobs)
    room = (planned.memory(2) + 1) / plan.SHARE  # for two of the largest
    jobs = plan_of(replace(GPU, free_bytes=room), settings=sizes()).jobs(tasks)
    assert [len(job.members) for job in jobs if job.setting.layers == (48,)] == [2, 1]
    assert [len(job.members) for job in jobs if job.setting.layers == (24,)] == [3]


def test_compiling_is_decided_for_each_network_by_its_own_work():
    """7 mini-batches an epoch; 148 x 48 = 7104 weights: 1e8 updates after 2011 epochs."""
    planned = plan_of(settings=sizes(epochs=2011))
    assert [planned.compiles(setting) for setting in sizes(epochs=2011)] == [False, True, False]
    assert planned.compiled
    for setting in sizes(epochs=2011):
        assert plan_of(settings=[setting]).compiled == planned.compiles(setting)
    assert not plan_of(settings=sizes(epochs=2010)).compiled
    assert all(map(plan_of(compile="on", settings=sizes()).compiles, sizes()))
    assert not plan_of(compile="off", settings=sizes(epochs=2011)).compiled
    assert [
        job.compiled for job in planned.jobs(tasks_of(members_of_each(sizes(epochs=2011), 1)))
    ] == [
        True,
        False,
        False,
    ]


def test_dry_run_prints_the_plan_and_writes_nothing(simulate, tmp_path):
    fields = "--field double-linear double-exponential"
    assert simulate(f"--layers 48 {fields} --n_models 3 --dry_run") == []
    assert "2 settings of 3 networks each, 1 process:" in simulate.table
    assert simulate.table.count("\n  Digits-double-") == 2
    for words in ("process 0 trains 6 networks", "MiB", "of training"):
        assert words in simulate.table
    assert not list(tmp_path.iterdir())


def test_dry_run_counts_the_epochs_of_each_side_of_a_switch(currents, stop, monkeypatch):
    (member,) = members_of(setting_of(epochs=5, switch_epoch=2))
    probe, asked = Probe(currents, Compiler(enabled=False)), []

    def epoch(trainer, stop):
        asked.append(trainer.ensemble.phase)
        return (1.0, 10.0)[trainer.ensemble.phase]

    monkeypatch.setattr(probe, "epoch", epoch)
    assert list(probe.run(Job((member,)), stop)) == [2 * 1.0 + 3 * 10.0]
    assert asked == [0, 1]
