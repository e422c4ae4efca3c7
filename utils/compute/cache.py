"""The folder in which compiled programs and kernels are kept between runs, and whether to trust it.

What is kept there is executed, so it has to be the user's: the folder is closed to all others, and
a file that somebody else owns or may write to is not loaded.
"""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = "magnetoionic"
PRIVATE = 0o700  # the mode of a folder that is closed to all others


def cache_folder() -> Path:
    """The folder, closed to all others: `magnetoionic` in XDG_CACHE_HOME or ~/.cache.

    Without a home, or where the folder cannot be made or is somebody else's, a temporary one, which
    this process removes at its end; `cache_problem` then says why.
    """
    folder = kept_folder()
    return temporary_folder() if folder is None or problem_of(folder) else folder


def cache_problem() -> str | None:
    """Why nothing is kept between runs, in one line; None if all is well."""
    folder = kept_folder()
    if folder is None:
        return "compiled parts are not kept for later runs: there is no home; set XDG_CACHE_HOME"
    if problem := problem_of(folder):
        return f"compiled parts are not kept for later runs: {problem}; set XDG_CACHE_HOME"
    return None


def kept_folder() -> Path | None:
    """The folder, whether it is there or not; None without a home."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / NAME
    try:
        return Path.home() / ".cache" / NAME
    except RuntimeError:  # HOME is not set, and the user has no entry in passwd
        return None


@cache
def problem_of(folder: Path) -> str | None:
    """Make the folder, or close it to others; what keeps it from being used, None if nothing."""
    try:
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.geteuid():
            return f"{folder} belongs to another user"
        if status.st_mode & 0o077:
            folder.chmod(PRIVATE)
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{folder} cannot be written to"
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return None


@cache
def temporary_folder() -> Path:
    """A folder of this process, and of those that it forks, for as long as it runs."""
    folder, process = Path(tempfile.mkdtemp(prefix=f"{NAME}-")), os.getpid()

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def distrust(path: Path) -> str | None:
    """Why a file that is kept must not be loaded, None if it may be. Raises OSError."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return None


def processor_features() -> str:
    """What code for the machine's own processor may depend on, as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
