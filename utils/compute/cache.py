"""The cache folder of compiled programs and kernels, and whether it can be trusted.

Files in the cache are executed, so they have to be the user's: the folder is closed to all others,
and a file that somebody else owns or may write to is not loaded.
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
    """Return the cache folder, closed to others: `magnetoionic` in XDG_CACHE_HOME or ~/.cache.

    If there is no home, or the folder cannot be made or belongs to another user, it is a temporary
    folder, which this process removes at its end; `cache_problem` describes the reason.
    """
    folder = lasting_folder()
    return temporary_folder() if folder is None or problem_of(folder) else folder


def cache_problem() -> str | None:
    """Return why nothing is cached between runs, in one line; None if the cache works."""
    folder = lasting_folder()
    if folder is None:
        return "compiled parts are not kept for later runs: there is no home; set XDG_CACHE_HOME"
    if problem := problem_of(folder):
        return f"compiled parts are not kept for later runs: {problem}; set XDG_CACHE_HOME"
    return None


def lasting_folder() -> Path | None:
    """Return the folder for all runs of the user, which need not exist; None without a home."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / NAME
    try:
        return Path.home() / ".cache" / NAME
    except RuntimeError:  # HOME is not set, and the user has no entry in passwd
        return None


@cache
def problem_of(folder: Path) -> str | None:
    """Make the folder, or close it to others; returns why it cannot be used, None if it can."""
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
    """Make a folder for this process and its forks, which is removed when this process ends."""
    folder, process = Path(tempfile.mkdtemp(prefix=f"{NAME}-")), os.getpid()

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def distrust(path: Path) -> str | None:
    """Return why a cached file must not be loaded, None if it may be. Raises OSError."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return None


def processor_features() -> str:
    """Return the processor's features, on which native code depends, as the system reports them."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
