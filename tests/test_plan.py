"""What runs when: networks that train side by side, workers and their threads, and compiling."""

from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
from conftest import currents_of, members_of, setting_of

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.errors import UserError
from utils.run import Run
from utils.settings import Member
from utils.training import plan
from utils.training.dry_run import Probe
from utils.training.plan import Plan


class OnGpu(Currents):
    """Currents that say that they are on a GPU."""

    @classmethod
    def like(cls, currents: Currents) -> "OnGpu":
        given = (each.name for each in fields(currents) if each.init)
        return cls(**{name: getattr(currents, name) for name in given})

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", 0)


@pytest.fixture
def on_gpu(currents, monkeypatch) -> OnGpu:
    monkeypatch.setattr(plan, "free_bytes", lambda device: 1 << 40)
    return OnGpu.like(currents)


def plan_of(currents, cores=1, n_models=10, compile="auto", **changes) -> Plan:
    run = Run(settings=(setting_of(**changes),), n_models=n_models, compile=compile)
    return Plan(run, currents, cores)


@pytest.fixture
def memory(monkeypatch):
    """Makes so many networks fit into the memory at the same time, but not one more."""

    def holds(mine: Plan, networks: int) -> None:
        one, two = mine.memory(1), mine.memory(2)
        needed = one + (networks - 1) * (two - one)
        monkeypatch.setattr(plan, "free_bytes", lambda device: (needed + 1) / plan.SHARE)

    return holds


@pytest.fixture
def repeating(monkeypatch):
    """Products are the same with any number of threads."""
    monkeypatch.setattr(Plan, "repeats_itself", True)


def test_the_memory_of_a_network_is_that_of_its_weights_and_activations(currents, on_gpu):
    """(144 x 24 + 24 x 4) weights of 84 bytes; 8 values of 28 units for a test batch of 1000."""
    one = 3552 * 84 + 4 * 8 * 28 * 1000
    for networks in (1, 2, 7):
        beside = (200 << 20) * (networks - 1)  # of processes; on a GPU there are none
        assert plan_of(currents).memory(networks) == networks * one + beside
        assert plan_of(on_gpu).memory(networks) == networks * one


def test_wear_takes_memory_of_its_own(currents):
    """Pulses of two devices in double precision, refreshes in single: 20 bytes a weight."""
    run = Run(settings=(setting_of(),))
    more = Plan(replace(run, wear=True), currents, 1).memory(1) - Plan(run, currents, 1).memory(1)
    assert more == 3552 * 20


def test_a_batch_larger_than_the_training_set_is_planned_as_the_training_set(currents, monkeypatch):
    monkeypatch.setattr(plan, "TEST_BATCH", 1)
    whole = plan_of(currents, batch_size=200).memory(1)
    assert plan_of(currents, batch_size=100_000_000).memory(1) == whole
    assert plan_of(currents, batch_size=100).memory(1) == whole - 4 * 8 * 28 * 100


def test_a_batch_larger_than_the_training_set_is_trained_as_the_training_set(simulate):
    (huge,) = simulate("--batch_size 100000000 --epochs 3")
    (whole,) = simulate("--batch_size 1500 --epochs 3")
    assert int(huge.state["layers.2.num_batches_tracked"]) == 3  # one mini-batch an epoch
    assert torch.equal(huge.state["layers.1.weight1"], whole.state["layers.1.weight1"])


def test_a_network_larger_than_the_memory_is_refused(currents, monkeypatch):
    """148 million weights of 84 bytes, and 8 values of a million units for 1000 images."""
    monkeypatch.setattr(plan, "free_bytes", lambda device: 3 << 29)
    message = r"needs 41\.4 GiB of memory, 1\.5 GiB are free; choose smaller --layers"
    with pytest.raises(UserError, match=message):
        plan_of(currents, layers=(1_000_000,))


def test_a_refused_plan_leaves_no_folder(start, tmp_path):
    process = start("--task", "Digits", "--layers", 1_000_000_000, "--device", "cpu")
    assert process.wait() == 2
    (line,) = process.said.splitlines()
    assert line.startswith("main.py: error: one network needs ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("networks", [1, 3, 10])
def test_networks_fit_as_long_as_there_is_memory(networks, currents, on_gpu, memory):
    for mine in (plan_of(currents), plan_of(on_gpu)):
        memory(mine, networks)
        assert mine.at_once() == networks


def test_even_one_network_that_hardly_fits_is_tried(currents, monkeypatch):
    mine = plan_of(currents)
    monkeypatch.setattr(plan, "free_bytes", lambda device: 0)  # since it was planned
    assert mine.at_once() == 1


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
def test_a_worker_for_every_core_and_the_cores_for_all_workers(
    cores, jobs, workers, threads, currents, repeating
):
    assert plan_of(currents, cores).workers(jobs) == (workers, threads)


def test_memory_limits_the_workers(currents, memory, repeating):
    mine = plan_of(currents, cores=9)
    memory(mine, 4)
    assert mine.workers(30) == (4, 2)
    assert mine.workers(3) == (3, 3)


def test_a_gpu_has_one_process(on_gpu, repeating):
    assert plan_of(on_gpu, cores=8).workers(10) == (1, 8)
    assert plan_of(on_gpu, cores=8).threads is None


def test_where_results_depend_on_threads_one_process_trains_with_all(currents, monkeypatch):
    mine = plan_of(currents, cores=8)
    monkeypatch.setattr(Plan, "repeats_itself", False)
    assert mine.workers(10) == (1, 8)
    assert mine.threads == 8  # then they decide the rounding
    assert plan_of(currents, cores=1).threads is None
    monkeypatch.setattr(Plan, "repeats_itself", True)
    assert mine.threads is None


SHAPES = {  # m, k, n of 24 and 4 units, batches of 32 and of the 8 that are left; 50 test images
    *((24, "active", n) for n in (32, 8, 50)),
    *((4, 24, n) for n in (32, 8, 50)),  # V = W I
    *((24, n, "active") for n in (32, 8)),
    *((4, n, 24) for n in (32, 8)),  # dL/dW = g I^T
    *(("active", 24, n) for n in (32, 8)),
    *((24, 4, n) for n in (32, 8)),  # dL/dI = W^T g
    (24, "tested", 50),
}


@pytest.fixture
def tried(monkeypatch) -> Counter:
    """Which products are tried with how many threads, and how often; all repeat themselves."""
    tried = Counter()

    def repeats_itself(*shape_and_threads):
        tried[shape_and_threads] += 1
        return True

    monkeypatch.setattr(plan, "holds_in_a_fork", lambda test: test())
    monkeypatch.setattr(plan, "repeats_itself", repeats_itself)
    return tried


def test_every_product_is_tried_with_every_number_of_threads(currents, tried):
    mine = plan_of(currents, cores=9)
    assert mine.repeats_itself
    assert mine.repeats_itself  # and not tried again
    inputs = currents.active_inputs
    sizes = {"active": len(inputs.active), "tested": len(inputs.tested)}
    shapes = {tuple(sizes.get(size, size) for size in shape) for shape in SHAPES}
    assert set(tried) == {(*shape, threads) for shape in shapes for threads in (9, 4, 3, 2)}
    assert max(tried.values()) <= 2


def test_sparse_products_need_no_trial(sparse_patterns, tried):
    """Of the first layer, that is; what is dense is the second."""
    currents = currents_of(sparse_patterns)
    assert currents.product == "sparse"
    assert plan_of(currents, cores=2).repeats_itself
    second = {shape for shape in SHAPES if {"active", "tested"}.isdisjoint(shape)}
    assert set(tried) == {(*shape, 2) for shape in second}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("holds_in_a_fork", lambda test: False),
        ("repeats_itself", lambda m, k, n, threads: m != 24),
        ("repeats_itself", lambda m, k, n, threads: threads != 4),
    ],
)
def test_networks_are_not_spread_where_that_is_not_safe(name, value, currents, monkeypatch):
    monkeypatch.setattr(plan, "holds_in_a_fork", lambda test: test())
    monkeypatch.setattr(plan, "repeats_itself", lambda *shape: True)
    assert plan_of(currents, cores=8).workers(10) == (8, 1)
    monkeypatch.setattr(plan, name, value)
    assert plan_of(currents, cores=8).workers(10) == (1, 8)


def test_on_a_cpu_each_network_is_a_job(currents):
    members = [Member(setting_of(lr=lr), model) for lr in (1.0, 2.0) for model in range(5)]
    assert plan_of(currents).jobs(members, lambda member: 0) == [(member,) for member in members]


def test_on_a_gpu_networks_train_side_by_side_as_many_as_fit(on_gpu, memory):
    members = [Member(setting_of(lr=lr), model) for lr in (1.0, 2.0) for model in range(5)]
    mine = plan_of(on_gpu)
    memory(mine, 4)
    jobs = mine.jobs(members, lambda member: 0)
    assert [len(job) for job in jobs] == [4, 4, 2]
    assert [member for job in jobs for member in job] == members
    memory(mine, 100)
    assert mine.jobs(members, lambda member: 0) == [tuple(members)]


def test_networks_of_other_devices_or_steps_are_other_jobs(on_gpu):
    fields = ("double-linear", "double-exponential", "double-linear")
    settings = [setting_of(field=field, lr=float(lr)) for lr, field in enumerate(fields)]
    members = [member for setting in settings for member in members_of(setting, 3)]

    def step_of(member):
        return 70 * (member.model == 1)

    jobs = plan_of(on_gpu).jobs(members, step_of)
    assert sorted(map(len, jobs)) == [1, 2, 2, 4]
    for job in jobs:
        assert len({(member.setting.field, step_of(member)) for member in job}) == 1
    assert sorted((m for job in jobs for m in job), key=members.index) == members


def test_networks_that_are_switched_otherwise_are_other_jobs(on_gpu):
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
    jobs = plan_of(on_gpu).jobs([Member(setting, 0) for setting in settings], lambda member: 0)
    together = [{settings.index(member.setting) for member in job} for job in jobs]
    assert sorted(together, key=min) == [{0, 1, 6}, {2}, {3}, {4}, {5}]


def test_compiling_is_a_matter_of_one_networks_work(currents):
    """3552 weights, 7 mini-batches an epoch, 1e8 updates."""
    for n_models in (1, 1000):
        assert plan_of(currents, n_models=n_models, epochs=4022).compiled
        assert not plan_of(currents, n_models=n_models, epochs=4021).compiled
    assert plan_of(currents, compile="on").compiled
    assert not plan_of(currents, compile="off", epochs=4022).compiled


def test_dry_run_prints_the_plan_and_writes_nothing(start, tmp_path):
    process = start(
        "--task",
        "Digits",
        "--layers",
        48,
        "--field",
        "double-linear",
        "double-exponential",
        "--n_models",
        3,
        "--device",
        "cpu",
        "--dry_run",
    )
    assert process.wait() == 0, process.said
    printed = process.output.read_text()
    assert "2 settings x 3 networks on 1 process" in printed
    assert printed.count("\n  Digits-double-") == 2
    for words in ("process 0 trains 6 networks", "MiB", "of training"):
        assert words in printed
    assert not (tmp_path / "out").exists()


def test_dry_run_counts_the_epochs_of_each_side_of_a_switch(currents, stop, monkeypatch):
    (member,) = members_of(setting_of(epochs=5, switch_epoch=2))
    eager = Compiler(enabled=False)
    probe, asked = Probe(currents, eager, lambda setting: False, LedgerLevel.NOTHING), []

    def epoch(trainer, stop):
        asked.append(trainer.ensemble.phase)
        return (1.0, 10.0)[trainer.ensemble.phase]

    monkeypatch.setattr(probe, "epoch", epoch)
    assert list(probe.run((member,), stop)) == [2 * 1.0 + 3 * 10.0]
    assert asked == [0, 1]
