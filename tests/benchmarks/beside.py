"""A run alone, and two at the same time on the same cores: seconds from command to table."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
RUN = "--task Digits --epochs 40 --lr 1000 --resistor_noise 0.015 --checkpoint_minutes 60"


def seconds_of(runs: int, networks: int, compiled: bool) -> float:
    """Until the last of so many equal runs is over, each with a folder of its own."""
    command = [sys.executable, "main.py", *RUN.split(), "--n_models", str(networks)]
    command += ["--compile", "on" if compiled else "off", "--output_dir"]
    quiet = {"cwd": PROJECT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        processes = [
            subprocess.Popen([*command, f"{folder}/{run}"], **quiet) for run in range(runs)
        ]
        for process in processes:
            if process.wait() != 0:
                raise RuntimeError(f"a run ended with exit code {process.returncode}")
        return time.perf_counter() - start


def beside(repeats: int) -> dict[str, float]:
    """Return the ratio of times of two runs at once and one run alone: medians of ratios."""
    ratios = {}
    for networks in (1, 10):
        for compiled in (False, True):
            seconds_of(1, networks, compiled)  # so that what is compiled is there
            samples = [
                seconds_of(2, networks, compiled) / seconds_of(1, networks, compiled)
                for _ in range(repeats)
            ]
            name = f"{networks} network{'s' * (networks > 1)}, {'' if compiled else 'un'}compiled"
            ratios[name] = statistics.median(samples)
    return ratios
