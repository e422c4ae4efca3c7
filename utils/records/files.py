"""Writes files whole or not at all: under a temporary name, and then renamed."""

from __future__ import annotations

import io
import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from utils.errors import RecordError

HOST = platform.node().partition(".")[0]  # other machines may share the disk
SECONDS_TO_WRITE = 60  # the longest time to write a file on the slowest disk
TAIL_OF_NAME = 60  # last characters of a name in its partial name, which is thus never too long


class IncompleteFileError(Exception):
    """A file of a network is missing or damaged; the message names it and the reason."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds all of it or none.

    Raises RecordError if writing fails, as on a full disk or in a read-only folder.
    """
    temporary = path.with_name(partial_name(path.name[-TAIL_OF_NAME:]))
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # readers ignore temporary files
            temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from None


def partial_name(name: str) -> str:
    """Return the name of an unfinished file or folder: hidden, with its machine and process."""
    return f".{name}.{HOST}.{os.getpid()}.tmp"


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote to a path with a `partial_name` has ended.

    Raises OSError if the path does not exist, ValueError if it has another kind of name.
    """
    *_, host, process, _ = path.name.rsplit(".", 3)
    is_old = time.time() - path.stat().st_mtime > SECONDS_TO_WRITE
    return is_old or (host == HOST and not is_alive(int(process)))


def is_alive(process: int) -> bool:
    """Whether this machine has a process of that number; true where that is unknown."""
    if os.name != "posix":  # on Windows the call below would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, if it is there; raises RecordError as `write_bytes` does."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"cannot write {path}: {error.strerror}; the networks that are complete are safe, and "
        "once writing works the same command with --resume goes on"
    )


def write_tensors(path: Path, content: torch.Tensor | dict) -> None:
    """Save tensors for `torch.load(path, weights_only=True)`."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, content: dict) -> None:
    """Save standard JSON; raises ValueError at a NaN or an infinity."""
    text = json.dumps(content, indent=2, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def read_tensors(path: Path) -> Any:
    """Return what torch saved, memory-mapped; raises IncompleteFileError if missing or damaged."""
    try:
        return torch.load(path, weights_only=True, mmap=True)
    except FileNotFoundError:
        raise IncompleteFileError(f"no {path.name}") from None
    except Exception as error:  # torch names no set of errors for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise IncompleteFileError(f"{path.name} cannot be read: {reason[0]}") from None
