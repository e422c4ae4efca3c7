"""The processor that computes, its cores and its memory.

Containers and batch systems limit cores and memory by Linux' control groups. Their limits are read
here, since joblib.cpu_count sees the outermost group alone and rounds quotas up, and none of the
installed libraries reads limits of memory.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError

if TYPE_CHECKING:
    import torch

NO_SUCH_GPU = "this machine offers {count} CUDA GPUs; use --device auto or --device cpu"
DEFAULT_BYTES = 4 << 30
OPENMP_SPINS = "1000"  # spins of a waiting OpenMP thread before it sleeps; measured
# Parts of the messages of torch, CUDA, cuBLAS, the C library, and torch's allocator on Linux.
NO_MEMORY = ("out of memory", "not enough memory", "alloc_failed", "can't allocate memory")


def share_cores() -> None:
    """Let waiting threads sleep soon, so that other processes can use the same cores.

    Otherwise each spins millions of times, which takes the core from the thread that it waits for.
    This is called before torch is imported; a value that the user has set is not changed.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", OPENMP_SPINS)


def check_device(name: str) -> None:
    """Raise UserError unless `name` is auto, cpu, or a CUDA device that the driver knows."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: must be auto, cpu, cuda, or cuda:1 and the like")
    if name.startswith("cuda"):
        count = driver_gpus()
        if gpu_number(name) >= count:
            raise UserError(f"--device {name}: {NO_SUCH_GPU.format(count=count)}")


def gpu_number(name: str) -> int:
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


def choose_device(name: str, tf32: bool = False, local_rank: int | None = None) -> torch.device:
    """Return the torch device of a name; auto is a CUDA GPU if torch can use one.

    local_rank: the number of this process among those on this machine, each of which takes another
    GPU; None if it is alone. tf32: whether float32 products may round their factors to 10 bits of
    mantissa. Raises UserError if torch cannot use the GPU that was requested, or if tf32 can have
    no effect. With `cpu`, CUDA is not initialised, so that processes can be forked from this one.
    """
    import torch

    count = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    if local_rank is not None and name == "cuda" and count:
        name = f"cuda:{local_rank % count}"
    if name.startswith("cuda"):
        if gpu_number(name) >= count:
            raise UserError(
                f"--device {name}: the driver has it, but this build of PyTorch "
                f"({torch.__version__}) can use {count} CUDA GPUs; install a CUDA build"
            )
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.cuda.set_device(gpu_number(name))  # streams and graphs belong to the current GPU
        return torch.device("cuda", gpu_number(name))
    if tf32:
        raise UserError("--tf32 has an effect on a CUDA GPU only, and this run computes on the CPU")
    return torch.device("cpu")


class OutOfMemoryError(Exception):
    """There is not enough memory for what is to be computed at the same time."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemoryError for any memory error of torch, CUDA, the compiler or Python."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(
            words in str(error).lower() for words in NO_MEMORY
        ):
            raise OutOfMemoryError(str(error)) from None
        raise


def usable_cores() -> int:
    """Return the number of cores that this process may use, with limits of batch systems."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    quota = [limit for group in control_groups() if (limit := core_limit(group)) is not None]
    return max(1, min([cores, *map(int, quota)]))


def free_bytes(device: torch.device) -> int:
    """Return the bytes of memory that this process can use on a device."""
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free
    free = [limit for group in control_groups() if (limit := memory_left(group)) is not None]
    return max(0, min([machine_bytes(), *free]))


def machine_bytes() -> int:
    """Return the free bytes of this machine, or half of its memory if that is not reported."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError):  # the system does not report it
        return DEFAULT_BYTES


def control_groups(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> Iterator[Path]:
    """Return the folders of this process's control groups, from inside out: all limits count.

    Version 2 has one tree, version 1 a tree for each controller. A container may see its group as
    the root.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        trees = [root] if not controllers else [root / name for name in controllers.split(",")]
        for tree in trees:
            group = tree / path.strip("/")
            while True:
                if group.is_dir():
                    yield group
                if group == tree or tree not in group.parents:
                    break
                group = group.parent


def number_in(path: Path, key: str | None = None) -> int | None:
    """Return the number in a control group's file, or after a key in it; None if there is none."""
    try:
        words = path.read_text().split()
        return int(words[0] if key is None else words[words.index(key) + 1])
    except (OSError, ValueError, IndexError):  # absent, "max", or without the key
        return None


def core_limit(group: Path) -> float | None:
    """Return the number of cores that a control group may use, None without a limit."""
    try:
        quota, period = map(int, (group / "cpu.max").read_text().split())
    except (OSError, ValueError):  # "max" in place of a number
        quota = number_in(group / "cpu.cfs_quota_us")
        period = number_in(group / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def memory_left(group: Path) -> int | None:
    """Return the bytes that a control group can still use, None without limit; caches are free."""
    names = ("memory.max", "memory.current", "inactive_file")
    if number_in(group / names[0]) is None:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    limit, used = (number_in(group / name) for name in names[:2])
    if limit is None or used is None:
        return None
    return limit - used + (number_in(group / "memory.stat", names[2]) or 0)


def hardware(device: torch.device) -> str:
    """Return the name of the device."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return processor_name()


def processor_name() -> str:
    """Return the name of the processor as the system reports it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
