"""How much longer a step takes in other cells and with other rules of programming.

The schemes take turns with that of the paper, on figure 1's network.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import torch

from devices.library import Device
from models.currents import Currents
from tests.benchmarks.subjects import FIGURE_1, Ours
from tests.benchmarks.timing import measure
from utils.training.kernels import load_kernels_of

SCHEMES = {
    "--rounding nearest": {"rounding": "nearest"},
    "--max_pulses 5": {"max_pulses": 5.0},
    "--rounding stochastic": {"rounding": "stochastic"},
    "--accumulate": {"accumulate": True},
    "--accumulate --rounding nearest": {"accumulate": True, "rounding": "nearest"},
    "--cell reference": {"cell": "reference"},
    "--cell both-ways": {"cell": "both-ways"},
}


def scheme_ratios(
    field: Device, currents: Currents, options: Namespace, device: torch.device
) -> dict[str, float]:
    """Return the median time of a step with each scheme, over that with the paper's."""
    paper = replace(FIGURE_1, field=field)
    settings = [paper, *(replace(paper, **changes) for changes in SCHEMES.values())]
    load_kernels_of(settings, device)
    subjects = [Ours(setting, currents, 1, options.compiled) for setting in settings]
    rows = measure(subjects, options.repeats, options.seconds, device)
    first, *others = (row["median"] for row in rows)
    return {name: median / first for name, median in zip(SCHEMES, others, strict=True)}
