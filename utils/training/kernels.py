"""Which kernels a run needs, loaded before anything is computed and before processes are forked."""

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
        if setting.write_noise == 0  # which the update in one pass does not draw
    }
    kernels = (kernel_of(*kind) for kind in sorted(kinds))
    load_kernels(kernel for kernel in kernels if kernel is not None)
