"""Small data sets as the IDX files of MNIST."""

import gzip
import struct
from pathlib import Path

import numpy as np

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of bytes as the content of an IDX file."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + sizes + array.astype(np.uint8).tobytes()


def example(n_train=30, n_test=12, side=6, classes=3) -> list[np.ndarray]:
    """Return random training images and labels, then test images and labels."""
    rng = np.random.default_rng(1)
    return [
        rng.integers(0, 256, (n_train, side, side)),
        np.arange(n_train) % classes,
        rng.integers(0, 256, (n_test, side, side)),
        np.arange(n_test) % classes,
    ]


def write_idx_files(folder: Path, arrays: list[np.ndarray], compress: bool = False) -> None:
    """Write four arrays under the usual names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, arrays, strict=True):
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / name).write_bytes(idx_bytes(array))
