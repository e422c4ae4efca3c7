"""Which processor computes: checked in two steps, without torch first."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from utils.world import World

NO_MEMORY = ("out of memory", "not enough memory", "alloc_failed")  # torch, CUDA, cuBLAS
ABSENT = "this machine offers {count} CUDA GPUs; use --device auto or --device cpu"


def check_device(name: str) -> None:
    """Raise UserError unless `name` is auto, cpu, or a CUDA device that the driver knows."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: must be auto, cpu, cuda, or cuda:1 and the like")
    if name.startswith("cuda"):
        count = driver_gpus()
        if index_of(name) >= count:
            raise UserError(f"--device {name}: {ABSENT.format(count=count)}")


def index_of(name: str) -> int:
    return int(name.partition(":")[2] or 0)


def driver_gpus() -> int:
    """Number of GPUs that the CUDA driver sees, 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def choose_device(name: str, world: World, tf32: bool = False) -> torch.device:
    """The torch device of that name; auto takes a CUDA GPU where torch can use one.

    Of several processes on a machine each takes a GPU of its own, or its share of the cores.
    tf32: whether its float32 products may round their factors to 10 bits of mantissa. Raises
    UserError if torch cannot use the GPU that was asked for.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if world.local_size > 1 and name == "cuda" and count:
        name = f"cuda:{world.local_rank % count}"
    if name.startswith("cuda"):
        if index_of(name) >= count:
            raise UserError(
                f"--device {name}: the driver has it, but this build of PyTorch "
                f"({torch.__version__}) can use {count} CUDA GPUs; install a CUDA build"
            )
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.cuda.set_device(index_of(name))  # streams and graphs are those of the current one
        return torch.device("cuda", index_of(name))
    if world.local_size > 1:
        torch.set_num_threads(max(1, usable_cores() // world.local_size))
    return torch.device("cpu")


class OutOfMemory(Exception):
    """Memory did not suffice for networks that were to train together."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemory for any of the errors by which torch, CUDA or the compiler tell of it."""
    try:
        yield
    except RuntimeError as error:
        if any(words in str(error).lower() for words in NO_MEMORY):
            raise OutOfMemory(str(error)) from None
        raise


def usable_cores() -> int:
    """Cores that this process may run on, which a batch system may have limited."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
