"""A line for the user on stderr, from wherever in the program."""

from __future__ import annotations

import sys
from contextlib import suppress


def log(line: str) -> None:
    """Print it; a full disk or a closed terminal behind stderr must not end a run."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
