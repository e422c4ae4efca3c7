"""How many networks train at the same time, in how many processes, and whether compiled."""

import pytest
import torch
from conftest import members_of, setting_of

from utils.data.currents import Currents
from utils.errors import UserError
from utils.settings import Member
from utils.training import plan

GIB = 1 << 30


def fresh(member) -> int:
    """The step of a network without a checkpoint."""
    return 0


def test_networks_that_do_not_fit_at_once_train_in_turn(currents, monkeypatch):
    settings = [setting_of(lr=1.0), setting_of(lr=2.0)]
    members = [Member(setting, model) for setting in settings for model in range(5)]
    one, two = (plan.memory_of(settings[0], currents, n) for n in (1, 2))
    monkeypatch.setattr(plan, "free_bytes", lambda device: (one + 2 * (two - one)) / plan.SHARE + 1)
    groups = plan.groups_of(members, currents, fresh)
    assert [len(part) for part in groups] == [3, 2, 3, 2]
    assert [member for part in groups for member in part] == members
    monkeypatch.setattr(plan, "free_bytes", lambda device: 1000 * one)
    assert [len(part) for part in plan.groups_of(members, currents, fresh)] == [5, 5]


def test_a_network_larger_than_the_memory_is_refused(currents, monkeypatch):
    monkeypatch.setattr(plan, "free_bytes", lambda device: 1000)
    with pytest.raises(UserError, match="choose smaller --layers"):
        plan.groups_of(members_of(setting_of()), currents, fresh)


def test_free_memory_is_known():
    assert GIB / 4 < plan.free_bytes(torch.device("cpu")) < 10_000 * GIB


def test_compiling_is_a_matter_of_one_networks_work(patterns):
    currents = Currents.of(patterns, 1, 0.001, torch.device("cpu"))
    per_epoch = 7 * plan.weights_of(setting_of(), currents)
    enough = int(plan.WORTH_COMPILING / per_epoch) + 1
    assert plan.worth_compiling(setting_of(epochs=enough), currents)
    assert not plan.worth_compiling(setting_of(epochs=enough - 2), currents)


@pytest.fixture
def machine(monkeypatch):
    """Makes the plan think of a machine of so many cores and free bytes."""

    def make(threads: int, free: float = 1 << 40):
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        monkeypatch.setattr(plan, "usable_cores", lambda: threads)
        monkeypatch.setattr(plan, "can_spread", lambda setting, currents: True)
        monkeypatch.setattr(plan, "free_bytes", lambda device: free)

    return make


@pytest.mark.parametrize(
    ("threads", "networks", "processes"),
    [(1, 10, 1), (2, 1, 1), (2, 2, 2), (8, 10, 8), (16, 10, 10), (20, 10, 10), (21, 10, 1)],
)
def test_a_process_for_every_core_unless_most_would_be_idle(
    threads, networks, processes, machine, currents
):
    machine(threads)
    assert plan.processes_for(members_of(setting_of(), networks), currents) == processes


def test_memory_limits_processes_and_groups(machine, currents):
    needed = [plan.memory_of(setting_of(), currents, n, n) for n in (4, 5)]
    machine(8, free=sum(needed) / 2 / plan.SHARE)
    members = members_of(setting_of(), 30)
    assert plan.processes_for(members, currents) == 4
    machine(9, free=sum(needed) / 2 / plan.SHARE)  # of which 4 would leave too many idle
    assert plan.processes_for(members, currents) == 1
    machine(8, free=plan.memory_of(setting_of(), currents, 11, 4) / plan.SHARE + 1)
    groups = plan.groups_of(members, currents, lambda member: 0, 4)
    assert [len(group) for group in groups] == [8, 8, 8, 6]  # in whole turns


def test_a_process_bound_to_one_core_does_not_crowd_it(machine, currents, monkeypatch):
    machine(8)
    monkeypatch.setattr(plan, "usable_cores", lambda: 1)
    assert plan.processes_for(members_of(setting_of(), 10), currents) == 1


def test_where_networks_cannot_be_spread_one_process_trains(machine, currents, monkeypatch):
    members = members_of(setting_of(), 10)
    machine(8)
    assert plan.processes_for(members, currents) == 8
    monkeypatch.setattr(plan, "can_spread", lambda setting, currents: False)
    assert plan.processes_for(members, currents) == 1


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (plan, "can_fork", lambda: False),
        (plan, "repeats_itself", lambda m, k, n: m != 24),
        (torch.cuda, "is_available", lambda: True),
    ],
)
def test_networks_are_not_spread_where_that_is_not_safe(owner, name, value, currents, monkeypatch):
    monkeypatch.setattr(plan, "can_fork", lambda: True)
    monkeypatch.setattr(plan, "repeats_itself", lambda *shape: True)
    assert plan.can_spread(setting_of(), currents)
    monkeypatch.setattr(owner, name, value)
    assert not plan.can_spread(setting_of(), currents)


@pytest.mark.parametrize(
    ("processes", "sizes"),
    [
        (1, [10] * 6),
        (2, [10] * 6),
        (4, [20] * 3),
        (7, [20] * 3),
        (8, [30, 30]),
        (9, [60]),
        (100, [60]),
    ],
)
def test_settings_train_together_where_one_leaves_processes_idle(processes, sizes):
    settings = [setting_of(lr=float(lr)) for lr in range(6)]
    members = [Member(setting, model) for setting in settings for model in range(10)]
    groups = plan.whole_settings(members, processes)
    assert [len(group) for group in groups] == sizes
    assert [member for group in groups for member in group] == members
