"""Which processor computes: checked in two steps, without torch first."""

from __future__ import annotations

import ctypes
import re
import sys
from typing import TYPE_CHECKING

from utils.errors import UserError

if TYPE_CHECKING:
    import torch

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


def choose_device(name: str, tf32: bool = False) -> torch.device:
    """The torch device of that name; auto takes a CUDA GPU where torch can use one.

    tf32: whether its float32 products may round their factors to 10 bits of mantissa. Raises UserError if torch cannot use the GPU that was asked for.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if index_of(name) >= count:
            raise UserError(
                f"--device {name}: the driver has it, but this build of PyTorch "
                f"({torch.__version__}) can use {count} CUDA GPUs; install a CUDA build"
            )
        torch.backends.cuda.matmul.allow_tf32 = tf32
        return torch.device("cuda", index_of(name))
    return torch.device("cpu")
