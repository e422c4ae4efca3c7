"""Cores and memory that control groups leave to a process."""

import functools
import os

import pytest
import torch

from utils.compute import processor
from utils.compute.processor import control_groups, free_bytes, usable_cores

CPU = torch.device("cpu")
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
CGROUP_1 = "9:name=systemd:/\n4:memory:/user/job\n1:cpu,cpuacct:/user/job\n0::/\n"
GROUPS_1 = [f"{name}{group}" for name in ("memory", "cpu") for group in ("/user/job", "/user", "")]
CONTAINER = {"cpu.max": "200000 100000", "memory.max": "1000", "memory.current": "600"}
# /proc/self/cgroup, files of the groups; the groups from inside out, cores of 8, bytes of 5000.
MACHINES = {
    # 3.5 cores; 1000 - 700 bytes, and 100 of a cache that is given back
    "version 2": ("0::/user/job\n", VERSION_2, ["user/job", "user", "."], 3, 400),
    "version 1": (CGROUP_1, VERSION_1, [*GROUPS_1, "."], 3, 400),
    "a container whose group is its root": ("0::/../docker/x\n", CONTAINER, ["..", "."], 2, 400),
    "no limit": (
        "0::/user\n", {"user/cpu.max": "max 100000", "user/memory.max": "max"}, ["user", "."],
        8, 5000),
    "an empty file": ("0::/\n", {"cpu.max": "", "memory.max": ""}, ["."], 8, 5000),
    "part of a core, and more memory than allowed": (
        "0::/\n", {"cpu.max": "50000 200000", "memory.max": "1000", "memory.current": "1700"},
        ["."], 1, 0),
    "a limit of memory without its use": ("0::/\n", {"memory.max": "1000"}, ["."], 8, 5000),
}  # fmt: skip


@pytest.mark.parametrize("name", MACHINES)
def test_groups_are_found_and_the_narrowest_limit_counts(name, tmp_path, monkeypatch):
    """Each group stands within the next one, those of version 1 in the tree of each controller."""
    membership, files, expected, cores, n_bytes = MACHINES[name]
    root = tmp_path / "cgroup"
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    (tmp_path / "self").write_text(membership)
    groups = functools.partial(control_groups, root, tmp_path / "self")
    monkeypatch.setattr(processor, "control_groups", groups)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8), raising=False)
    monkeypatch.setattr(processor, "machine_bytes", lambda: 5000)
    found = [str(group.relative_to(root)) for group in groups()]
    assert found == expected
    assert (usable_cores(), free_bytes(CPU)) == (cores, n_bytes)


def test_without_control_groups(tmp_path):
    assert list(control_groups(tmp_path, tmp_path / "absent")) == []
