"""The processor that computes, its cores and its memory, and errors of memory."""

import functools
import os
from collections.abc import Iterator

import pytest
import torch

from utils.compute import processor
from utils.compute.processor import (
    OutOfMemoryError,
    check_device,
    choose_device,
    control_groups,
    core_limit,
    free_bytes,
    memory_errors,
    memory_left,
    share_cores,
    usable_cores,
)
from utils.errors import UserError

CPU = torch.device("cpu")
GIB = 1 << 30


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("InductorError: OutOfMemoryError: CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        MemoryError(),
    ],
    ids=lambda error: str(error)[:30],
)
def test_memory_errors_are_known_in_all_their_forms(error):
    with pytest.raises(OutOfMemoryError), memory_errors():
        raise error


def test_the_memory_error_of_this_system_is_known():
    """More bytes than there are addresses: what the allocator really says."""
    with pytest.raises(OutOfMemoryError, match="1152921504606846976"), memory_errors():
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")],
)
def test_other_errors_are_no_memory_errors(error):
    with pytest.raises(type(error), match=str(error)), memory_errors():
        raise error


@pytest.fixture
def four_gpus(monkeypatch) -> Iterator[list]:
    """A fake torch.cuda; gives the GPUs that are made the current one."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    before = torch.backends.cuda.matmul.allow_tf32
    yield chosen
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(
    ("name", "local_rank", "index"),
    [
        ("cuda:1", None, 1),
        ("cuda", None, 0),
        ("auto", None, 0),
        ("auto", 2, 2),
        ("auto", 6, 2),
        ("cuda:1", 6, 1),
    ],
)
def test_a_process_on_a_gpu_makes_it_the_current_one(name, local_rank, index, four_gpus):
    """Streams and graphs belong to the current GPU; of several processes each has its own."""
    assert choose_device(name, local_rank=local_rank) == torch.device("cuda", index)
    assert four_gpus == [index]


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_switched_on_a_gpu(tf32, four_gpus):
    torch.backends.cuda.matmul.allow_tf32 = not tf32
    choose_device("auto", tf32)
    assert torch.backends.cuda.matmul.allow_tf32 == tf32


def test_a_gpu_that_torch_cannot_use_is_a_users_error(four_gpus):
    with pytest.raises(UserError, match=r"--device cuda:4: .* can use 4 CUDA GPUs"):
        choose_device("cuda:4")
    assert four_gpus == []


def test_auto_takes_the_cpu_where_torch_has_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    assert choose_device("auto", local_rank=1) == CPU


def test_the_cpu_leaves_cuda_alone(monkeypatch):
    """CUDA is not initialised, so that processes can be forked from this one."""
    for name in ("is_available", "device_count", "set_device"):
        monkeypatch.setattr(torch.cuda, name, lambda *arguments: pytest.fail("CUDA was touched"))
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_tf32_on_a_cpu_is_a_users_error(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--tf32 has an effect on a CUDA GPU only"):
        choose_device(name, tf32=True)


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("gpu", 4, "must be auto, cpu"),
        ("cuda:", 4, "must be auto, cpu"),
        ("cuda", 0, "offers 0 CUDA GPUs"),
        ("cuda:4", 4, "offers 4 CUDA GPUs"),
    ],
)
def test_a_device_that_is_not_there_is_refused_before_torch_is_loaded(
    name, count, message, monkeypatch
):
    monkeypatch.setattr(processor, "driver_gpus", lambda: count)
    with pytest.raises(UserError, match=f"--device {name}: .*{message}"):
        check_device(name)


def test_devices_that_are_there_are_taken(monkeypatch):
    monkeypatch.setattr(processor, "driver_gpus", lambda: 4)
    for name in ("auto", "cpu", "cuda", "cuda:3"):
        check_device(name)


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


def test_groups_of_version_2_are_found_each_within_the_next(tree):
    assert tree("0::/user/job\n", **VERSION_2) == ["user/job", "user", "."]


def test_groups_of_version_1_are_found_in_the_tree_of_each_controller(tree):
    cgroup_file = "9:name=systemd:/\n4:memory:/user/job\n1:cpu,cpuacct:/user/job\n0::/\n"
    assert tree(cgroup_file, **VERSION_1) == [
        "memory/user/job",
        "memory/user",
        "memory",
        "cpu/user/job",
        "cpu/user",
        "cpu",
        ".",
    ]


def test_a_container_that_sees_its_own_group_as_the_root(tree):
    files = {"cpu.max": "200000 100000", "memory.max": "1000", "memory.current": "600"}
    assert tree("0::/../docker/x\n", **files)[-1] == "."
    assert usable_cores() == 2
    assert free_bytes(CPU) == 400


@pytest.mark.parametrize(
    ("cgroup_file", "files"),
    [("0::/user/job\n", VERSION_2), ("4:memory:/user/job\n1:cpu,cpuacct:/user/job\n", VERSION_1)],
    ids=["version 2", "version 1"],
)
def test_the_narrowest_limit_counts(cgroup_file, files, tree):
    tree(cgroup_file, **files)
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


def test_free_memory_of_this_machine_is_known():
    assert GIB / 4 < free_bytes(CPU) < 10_000 * GIB
    assert GIB / 4 < processor.machine_bytes() < 10_000 * GIB


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
    ids=str,
)
def test_threads_that_wait_sleep_soon_unless_the_user_wants_otherwise(given, spins, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    share_cores()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
