"""Timing of subjects in turn, with medians over repeats."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

UPDATES = 469  # of a model-epoch


def seconds_of(run: Callable[[int], None], steps: int, device: torch.device) -> float:
    """Seconds that `run(steps)` takes, the GPU's work included."""

    def finish():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    finish()
    start = time.perf_counter()
    run(steps)
    finish()
    return time.perf_counter() - start


def measure(subjects: list, repeats: int, target: float, device: torch.device) -> list[dict]:
    """Seconds per model-epoch of each subject: median, smallest, largest.

    Each sample takes about `target` seconds, after a warm-up that also finds out how many steps
    that is.
    """
    steps = []
    for subject in subjects:
        subject.run(5)
        per_step = seconds_of(subject.run, 5, device) / 5
        steps.append(max(5, min(UPDATES, round(target / per_step))))
    samples = [[] for _ in subjects]
    for _ in range(repeats):
        for subject, count, times in zip(subjects, steps, samples, strict=True):
            seconds = seconds_of(subject.run, count, device)
            times.append(seconds / count * UPDATES / subject.networks)
    return [
        {
            "subject": subject.name,
            "networks": subject.networks,
            "median": statistics.median(times),
            "lowest": min(times),
            "highest": max(times),
        }
        for subject, times in zip(subjects, samples, strict=True)
    ]


def print_rows(title: str, rows: list[dict]) -> None:
    """A table; the last column says how many times as long as the engine's a time is."""
    print(f"\n{title}\n{'':42} {'s/model-epoch':>13}  {'range':15}  {'/ engine':>8}")
    ours = next(row["median"] for row in rows if row["subject"] == "engine")
    for row in rows:
        name = f"{row['subject']}, {row['networks']} networks".replace(" 1 networks", " 1 network")
        spread = f"{row['lowest']:.3f}-{row['highest']:.3f}"
        ratio = row["median"] / ours
        print(f"{name:42} {row['median']:13.3f}  {spread:15}  {ratio:8.2f}")
    sys.stdout.flush()
