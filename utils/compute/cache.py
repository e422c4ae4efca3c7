"""The folder in which compiled programs and kernels are kept between runs."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path


def processor_features() -> str:
    """What code for the machine's own processor may depend on, as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def cache_folder() -> Path:
    """Where programs and kernels are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "magnetoionic"
