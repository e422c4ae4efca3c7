"""The processor that computes, its cores and its memory, and errors of memory."""

import os
from collections.abc import Iterator

import pytest
import torch

from utils.compute import processor
from utils.compute.processor import (
    OutOfMemoryError,
    check_device,
    choose_device,
    free_bytes,
    memory_errors,
    share_cores,
)
from utils.errors import UserError

CPU = torch.device("cpu")
GIB = 1 << 30


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemoryError),
        (RuntimeError("InductorError: OutOfMemoryError: CUDA out of memory"), OutOfMemoryError),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to"), OutOfMemoryError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), OutOfMemoryError),
        (MemoryError(), OutOfMemoryError),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
        (ValueError("out of memory"), ValueError),
    ],
    ids=lambda value: str(value)[:30],
)
def test_memory_errors_are_known_in_all_their_forms_and_no_others(error, raised):
    with pytest.raises(raised) as info, memory_errors():
        raise error
    assert (info.type, str(info.value)) == (raised, str(error))


def test_the_memory_error_of_this_system_is_known():
    """More bytes than there are addresses: what the allocator really says."""
    with pytest.raises(OutOfMemoryError, match="1152921504606846976"), memory_errors():
        torch.empty(1 << 60, dtype=torch.uint8)


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
