"""Data sets as arrays: the IDX files of MNIST and Fashion-MNIST, and scikit-learn's digits."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from utils.data.idx import read_idx
from utils.errors import UserError

FOLDERS = {"MNIST": "MNIST", "Fashion": "FashionMNIST"}  # torchvision's names
DIGITS_SIZE = 28  # pixels a side, as MNIST
DIGITS_TEST = 297  # of 1797 images
LARGEST_IMAGE = 1 << 24  # pixels, padding included


@dataclass(frozen=True)
class DataSet:
    """Images uint8 [n, rows, columns] and labels int64 [n], for training and for testing."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self):
        """Raise UserError if the four arrays do not make a data set."""
        for part in ("train", "test"):
            images = getattr(self, f"{part}_images")
            labels = getattr(self, f"{part}_labels")
            if images.ndim != 3 or labels.ndim != 1:
                raise UserError(
                    f"{part} data: images have {images.ndim} and labels {labels.ndim} dimensions, "
                    "expected 3 and 1; are the files exchanged?"
                )
            if len(images) != len(labels):
                raise UserError(
                    f"{part} data: {len(images)} images but {len(labels)} labels; "
                    "replace the two files by a pair that belongs together"
                )
            if images.size == 0:
                raise UserError(f"{part} data: no images; replace the empty files")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise UserError(
                f"train images have {self.train_images.shape[1:]} pixels, test images "
                f"{self.test_images.shape[1:]}; replace one of the files"
            )
        if self.test_labels.max() >= self.n_classes:
            raise UserError(
                f"test labels reach {self.test_labels.max()}, but the training set has only "
                f"classes 0 to {self.n_classes - 1}; replace the label files"
            )

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Images and labels of the training set, then of the test set."""
        return self.train_images, self.train_labels, self.test_images, self.test_labels

    @property
    def sha256(self) -> str:
        """The SHA-256 of all images and labels."""
        digest = hashlib.sha256()
        for array in self.arrays:
            digest.update(repr((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def check_padding(self, padding: int) -> None:
        """Raise UserError if zeros on each side would make the images too large."""
        rows, columns = (side + 2 * padding for side in self.train_images.shape[1:])
        if rows * columns > LARGEST_IMAGE:
            raise UserError(
                f"--padding {padding}: makes images of {rows} x {columns} pixels, more than "
                f"{LARGEST_IMAGE}; choose less"
            )

    @property
    def n_classes(self) -> int:
        return int(self.train_labels.max()) + 1


def load(task: str, data_dir: Path, padding: int = 0) -> DataSet:
    """Return the data set of a task; MNIST and Fashion are downloaded into `data_dir` if missing.

    padding: zero pixels that will be added on each side. Raises UserError if a file is missing and
    cannot be downloaded, if a file is damaged, or if the padding makes the images too large.
    """
    data = load_digits() if task == "Digits" else load_idx(task, data_dir)
    data.check_padding(padding)
    return data


def load_idx(task: str, data_dir: Path) -> DataSet:
    """Read `<data_dir>/<MNIST or FashionMNIST>/raw/`, torchvision's layout, plain or gzipped."""
    raw = data_dir / FOLDERS[task] / "raw"
    names = [
        f"{part}-{kind}-ubyte"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ]
    if any(find(raw, name) is None for name in names):
        download(task, data_dir, raw)
    arrays = [read_idx(find(raw, name) or raw / name) for name in names]
    train_images, train_labels, test_images, test_labels = arrays
    return DataSet(
        train_images, train_labels.astype(np.int64), test_images, test_labels.astype(np.int64)
    )


def find(raw: Path, name: str) -> Path | None:
    """Return the plain file of a name, otherwise the gzipped file, otherwise None.

    Raises UserError if the folder may not be entered.
    """
    candidates = (raw / name, raw / f"{name}.gz")
    try:
        return next((path for path in candidates if path.is_file()), None)
    except OSError as error:
        raise UserError(f"--data_dir: {raw} cannot be read ({error.strerror})") from None


def download(task: str, data_dir: Path, raw: Path) -> None:
    """Download the four files with torchvision, which knows mirrors and checksums.

    All four files are there afterwards, or none, and no folder that was made for them.
    """
    from torchvision import datasets

    made = [folder for folder in (raw, *raw.parents) if not folder.exists()]
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=raw) as folder:
            getattr(datasets, FOLDERS[task])(folder, download=True)
            for path in Path(folder, FOLDERS[task], "raw").glob("*-ubyte"):
                if find(raw, path.name) is None:  # files that were there stay
                    path.replace(raw / path.name)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise UserError(
            f"{task} is not in {raw} and could not be downloaded ({reason}); name the folder that "
            f"has {FOLDERS[task]}/raw with --data_dir, put the four IDX files (plain or .gz) into "
            f"{raw}, or use --task Digits, which needs no download"
        ) from None
    finally:
        for folder in made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def load_digits() -> DataSet:
    """Return scikit-learn's handwritten digits: 1797 images of 8x8, enlarged to 28x28 (bilinear).

    The split is fixed and stratified: 1500 training images and 297 test images.
    """
    from sklearn.datasets import load_digits as load_sklearn_digits
    from sklearn.model_selection import train_test_split
    from torch import from_numpy
    from torch.nn.functional import interpolate

    bunch: Any = load_sklearn_digits()  # images float64 [n, 8, 8] in 0..16
    small = from_numpy(bunch.images)[:, None] * (255 / 16)
    large = interpolate(small, size=(DIGITS_SIZE, DIGITS_SIZE), mode="bilinear")[:, 0]
    images = large.round().numpy().astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    parts = train_test_split(images, labels, test_size=DIGITS_TEST, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = map(np.asarray, parts)
    return DataSet(train_images, train_labels, test_images, test_labels)
