"""Loads the kernels that a run needs, before anything is computed and processes are forked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from models.kernels.formulas import UpdateKind
from models.kernels.load import load_kernels
from models.sparse_update import kernel_of, name_of
from utils.compute.kernel_builder import count_missing
from utils.console import log
from utils.settings import Setting

MOST_IN_SILENCE = 3  # kernels that are built without a line


def load_kernels_of(settings: Sequence[Setting], device: torch.device) -> None:
    """Build and load the kernels that these settings can use on a device; a GPU needs none."""
    if device.type != "cpu":
        return
    kinds = {
        UpdateKind(
            family=field.response.family,
            physical=setting.physical_clipping,
            limited=setting.max_pulses != math.inf,
            noisy=setting.write_noise != 0,
            scheme=setting.scheme,
            rising=field.rising and field.rising.response.family,
        )
        for setting in settings
        for field in setting.fields
    }
    found = map(kernel_of, sorted(kinds, key=name_of))
    kernels = [kernel for kernel in found if kernel is not None]
    n_missing = count_missing(kernels)
    if n_missing > MOST_IN_SILENCE:
        log(f"building {n_missing} kernels in C++, which takes a few seconds for each")
    load_kernels(kernels)
