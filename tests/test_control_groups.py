"""Cores and memory that control groups leave to a process."""

import functools
import os

import pytest
import torch

from utils.compute import processor
from utils.compute.processor import (
    control_groups,
    core_limit,
    free_bytes,
    memory_left,
    usable_cores,
)

CPU = torch.device("cpu")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Makes this process be in control groups: a root of files by path, and /proc/self/cgroup."""

    def make(cgroup_file: str, **files: str) -> None:
        root = tmp_path / "cgroup"
        for path, content in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")
        (tmp_path / "self").write_text(cgroup_file)
        groups = functools.partial(control_groups, root, tmp_path / "self")
        monkeypatch.setattr(processor, "control_groups", groups)
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8), raising=False)
        monkeypatch.setattr(processor, "machine_bytes", lambda: 5000)
        return [str(group.relative_to(root)) for group in groups()]

    return make


# A job's group within that of its user, which is the narrower one in cores, the wider in memory.
VERSION_2 = {
    "user/job/cpu.max": "max 100000",
    "user/cpu.max": "350000 100000",
    "user/job/memory.max": "1000",
    "user/job/memory.current": "700",
    "user/job/memory.stat": "anon 600\ninactive_file 100",
    "user/memory.max": "max",
    "user/memory.current": "900",
    "cgroup.procs": "",
}
VERSION_1 = {
    "cpu/user/job/cpu.cfs_quota_us": "-1",
    "cpu/user/job/cpu.cfs_period_us": "100000",
    "cpu/user/cpu.cfs_quota_us": "350000",
    "cpu/user/cpu.cfs_period_us": "100000",
    "memory/user/job/memory.limit_in_bytes": "1000",
    "memory/user/job/memory.usage_in_bytes": "700",
    "memory/user/job/memory.stat": "inactive_file 7\ntotal_inactive_file 100",
    "memory/user/memory.limit_in_bytes": "9223372036854771712",  # none
    "memory/user/memory.usage_in_bytes": "900",
    "cpu/tasks": "",
    "memory/tasks": "",
}


def test_a_container_that_sees_its_own_group_as_the_root(tree):
    files = {"cpu.max": "200000 100000", "memory.max": "1000", "memory.current": "600"}
    assert tree("0::/../docker/x\n", **files)[-1] == "."
    assert usable_cores() == 2
    assert free_bytes(CPU) == 400


CGROUP_1 = "9:name=systemd:/\n4:memory:/user/job\n1:cpu,cpuacct:/user/job\n0::/\n"
GROUPS_1 = [f"{name}{group}" for name in ("memory", "cpu") for group in ("/user/job", "/user", "")]


@pytest.mark.parametrize(
    ("cgroup_file", "files", "groups"),
    [
        ("0::/user/job\n", VERSION_2, ["user/job", "user", "."]),
        (CGROUP_1, VERSION_1, [*GROUPS_1, "."]),
    ],
    ids=["version 2", "version 1"],
)
def test_groups_are_found_each_within_the_next_and_the_narrowest_limit_counts(
    cgroup_file, files, groups, tree
):
    """Those of version 1 in the tree of each controller."""
    assert tree(cgroup_file, **files) == groups
    assert usable_cores() == 3  # 3.5 of 8
    assert free_bytes(CPU) == 400  # 1000 - 700, and 100 of a cache that is given back


def test_where_no_group_limits_the_machine_does(tree):
    tree("0::/user\n", **{"user/cpu.max": "max 100000", "user/memory.max": "max"})
    assert usable_cores() == 8
    assert free_bytes(CPU) == 5000


def test_without_control_groups(tmp_path):
    assert list(control_groups(tmp_path, tmp_path / "absent")) == []


@pytest.mark.parametrize(
    ("file", "content", "limit"),
    [
        ("cpu.max", "150000 100000", 1.5),
        ("cpu.max", "max 100000", None),
        ("cpu.max", "", None),
        ("cpu.max", "50000 200000", 0.25),
        ("other", "1", None),
    ],
)
def test_core_limit(file, content, limit, tmp_path):
    (tmp_path / file).write_text(content)
    assert core_limit(tmp_path) == limit


def test_at_least_one_core_and_no_negative_memory(tree):
    files = {"cpu.max": "50000 100000", "memory.max": "1000", "memory.current": "1700"}
    tree("0::/\n", **files)
    assert usable_cores() == 1
    assert free_bytes(CPU) == 0


def test_memory_left_needs_both_its_files(tmp_path):
    (tmp_path / "memory.max").write_text("1000")
    assert memory_left(tmp_path) is None
    (tmp_path / "memory.current").write_text("300")
    assert memory_left(tmp_path) == 700
