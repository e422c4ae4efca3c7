"""Reads IDX files, plain or gzipped; if a file is damaged, the error says how."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import idx2numpy
import numpy as np

from utils.errors import UserError

UBYTE = 0x08  # IDX type code of unsigned bytes
MAX_DIMENSIONS = 3
CHUNK = 1 << 20  # bytes read at a time: a header may promise any amount


def read_idx(path: Path) -> np.ndarray:
    """Return the array of unsigned bytes in an IDX file.

    Raises UserError if the file cannot be read, is no gzip though its name says so, has another
    magic number or type, or more or fewer bytes than its header promises.
    """

    def damaged(problem: str) -> UserError:
        return UserError(f"{path}: {problem}; replace the file (see the README, section Data)")

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(4)
            if len(start) < 4:
                raise damaged("is empty or shorter than an IDX header")
            zero, kind, dimensions = struct.unpack(">HBB", start)
            if zero != 0 or not 1 <= dimensions <= MAX_DIMENSIONS:
                raise damaged(f"is no IDX file of images or labels (magic number {start.hex()})")
            if kind != UBYTE:
                raise damaged(f"holds type 0x{kind:02x}, not unsigned bytes (0x{UBYTE:02x})")
            sizes = file.read(4 * dimensions)
            if len(sizes) < 4 * dimensions:
                raise damaged("ends inside its header")
            promised = math.prod(struct.unpack(f">{dimensions}I", sizes))
            body = bytearray()
            while len(body) <= promised and (chunk := file.read(CHUNK)):
                body += chunk
    except (OSError, EOFError, zlib.error) as error:  # gzip raises all three for damage
        raise damaged(f"cannot be read ({error})") from None
    if promised == 0:
        raise damaged("holds no data")
    if len(body) != promised:
        found = "more" if len(body) > promised else f"only {len(body)}"
        raise damaged(f"its header promises {promised} bytes of data, but it holds {found}")
    return idx2numpy.convert_from_file(io.BytesIO(start + sizes + body))
