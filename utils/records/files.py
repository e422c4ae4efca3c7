"""Files that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import io
import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

import torch

from utils.errors import RecordError

HOST = platform.node().partition(".")[0]  # which may share the disk with others
SECONDS_TO_WRITE = 60  # a file or an empty folder, at most, on the slowest disk
KEPT_OF_NAME = 60  # characters, from the end, so that a partial file's name is never too long


class IncompleteFileError(Exception):
    """A network's files are not all there and whole: which, and why."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds all of it or none.

    Raises RecordError if the disk is full, the folder is gone or read-only, ...
    """
    temporary = path.with_name(partial_name(path.name[-KEPT_OF_NAME:]))
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # a reader takes no notice of temporary files
            temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from None


def partial_name(name: str) -> str:
    """Of a file or folder in the making: hidden, with the machine and the process at work on it."""
    return f".{name}.{HOST}.{os.getpid()}.tmp"


def is_abandoned(path: Path) -> bool:
    """Whether nobody is at work any more on what has a `partial_name`.

    Raises OSError if it is gone, ValueError if that is not its name.
    """
    *_, host, process, _ = path.name.rsplit(".", 3)
    is_old = time.time() - path.stat().st_mtime > SECONDS_TO_WRITE
    return is_old or (host == HOST and not is_alive(int(process)))


def is_alive(process: int) -> bool:
    """Whether this machine has a process of that number; where it does not tell, yes."""
    if os.name != "posix":  # there the call below would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
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


def read_tensors(path: Path) -> torch.Tensor | dict:
    """What torch saved, mapped; raises IncompleteFileError where that is missing or damaged."""
    try:
        return torch.load(path, weights_only=True, mmap=True)
    except FileNotFoundError:
        raise IncompleteFileError(f"no {path.name}") from None
    except Exception as error:  # torch names no set of errors for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise IncompleteFileError(f"{path.name} cannot be read: {reason[0]}") from None
