"""Where the time of one training step goes, by PyTorch's profiler."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from models.currents import Currents
from tests.benchmarks.subjects import Ours
from utils.settings import Setting

STEPS = 200
# What a kernel does shows in its name: compiled kernels list the operations fused into them, and
# the first of these words that occurs decides.
# Of a program on a CPU, kernels that are no operators of their own are one part.
PARTS = {
    "normalisation and update": (
        "CompiledFxGraph",
        "magnetoionic::table_after",
        "batch_norm",
        "softmax",
        "clamp",
    ),
    "gradient and update in one pass": ("magnetoionic::sparse_update",),
    "noise": ("magnetoionic::normal", "magnetoionic::noisy", "_rshift_", "cos_"),
    "products": (
        "magnetoionic::sparse",
        "::small_product",
        "linear_pointwise",
        "gemm",
        "mm",
        "cutlass",
    ),
}


def profile_step(setting: Setting, currents: Currents, device: torch.device) -> dict[str, float]:
    """Microseconds of a step by part, for one network (CPU) or ten (GPU)."""
    subject = Ours(setting, currents, 1 if device.type == "cpu" else 10)
    subject.run(20)
    activity = ProfilerActivity.CPU if device.type == "cpu" else ProfilerActivity.CUDA
    with profile(activities=[activity]) as profiler:
        subject.run(STEPS)
    shares = dict.fromkeys([*PARTS, "rest"], 0.0)
    for event in profiler.key_averages():
        time = event.self_cpu_time_total if device.type == "cpu" else event.self_device_time_total
        shares[part_of(event.key)] += time / STEPS
    return shares


def part_of(kernel: str) -> str:
    for part, words in PARTS.items():
        if any(word in kernel for word in words):
            return part
    return "rest"
