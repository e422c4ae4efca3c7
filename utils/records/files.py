"""Files that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from pathlib import Path

import torch

from utils.errors import RecordError


class IncompleteFileError(Exception):
    """A network's files are not all there and whole: which, and why."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds all of it or none.

    Raises RecordError if the disk is full, the folder is gone or read-only, ...
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
