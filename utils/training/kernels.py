"""Loads the kernels that a run needs, before anything is computed and processes are forked."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.kernels.load import load_kernels
from models.sparse_update import kernel_of
from utils.settings import Setting


def load_kernels_of(settings: Sequence[Setting], device: torch.device) -> None:
    """Build and load the kernels that these settings can use on a device; a GPU needs none."""
    if device.type != "cpu":
        return
    kinds = {
        (field.response.family, setting.physical_clipping)
        for setting in settings
        for field in setting.fields
        if setting.write_noise == 0  # the update in one pass draws no write noise
    }
    kernels = (kernel_of(*kind) for kind in sorted(kinds))
    load_kernels(kernel for kernel in kernels if kernel is not None)
