"""Logs lines for the user to stderr."""

from __future__ import annotations

import sys
from contextlib import suppress


def log(line: str) -> None:
    """Print a line to stderr; a full disk or a closed terminal there must not end a run."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
