"""Damaged files: one line that says which and what to do, never a crash, never other data."""

import gzip
import os
import pickle
import stat

import numpy as np
import pytest
from conftest import setting_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.idx_files import NAMES, example, idx_bytes, write_idx_files

from utils.data.idx import read_idx
from utils.errors import UserError
from utils.records.checkpoints import read_checkpoint
from utils.records.folders import Folder
from utils.records.results import IncompleteFileError, read_tensors


def files(position=None, content=None, compress=False) -> dict[str, bytes]:
    """The four files of a small MNIST, one of them with other content."""
    contents = [idx_bytes(array) for array in example()]
    if position is not None:
        contents[position] = content
    if compress:
        return {f"{name}.gz": body for name, body in zip(NAMES, contents, strict=True)}
    return dict(zip(NAMES, contents, strict=True))


DATA = {  # other damages of a file: see test_data.py
    "truncated": (files(0, idx_bytes(example()[0])[:-5]), "holds only"),
    "not a gzip": (files(compress=True), "cannot be read"),
    "empty": (files(2, b""), "is empty"),
    "different lengths": (files(1, idx_bytes(np.arange(29) % 3)), "30 images but 29 labels"),
    "labels beyond the classes": (files(3, idx_bytes(np.arange(12) % 4)), "test labels reach 3"),
    "labels for images": (files(0, idx_bytes(np.arange(30) % 3)), "dimensions"),
    "smaller images": (files(2, idx_bytes(np.zeros((12, 5, 5)))), "pixels"),
}


@pytest.mark.parametrize("damage", DATA)
def test_data_files(damage, refusal, tmp_path):
    content, message = DATA[damage]
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, body in content.items():
        (raw / name).write_bytes(body)
    line = refusal("--data_dir", tmp_path / "data")
    assert message in line
    advice = "are the files exchanged?" if damage == "labels for images" else "replace"
    assert advice in line


def test_a_data_file_that_may_not_be_read(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    write_idx_files(raw, example())
    (raw / NAMES[0]).unlink()
    (raw / NAMES[0]).mkdir()  # a folder in its place can be read by nobody, not even by root
    with pytest.raises(UserError, match="cannot be read"):
        read_idx(raw / NAMES[0])


VALID = idx_bytes(np.arange(60).reshape(3, 4, 5))


@st.composite
def mutated(draw):
    """Bytes of an IDX file with some changed, cut off, or added; or any bytes at all."""
    body = bytearray(draw(st.one_of(st.just(VALID), st.binary(max_size=80))))
    for _ in range(draw(st.integers(0, 4))):
        if body:
            body[draw(st.integers(0, min(len(body) - 1, 20)))] = draw(st.integers(0, 255))
    body = body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body
    return bytes(body) + draw(st.binary(max_size=5))


def read_or_error(path) -> np.ndarray | UserError:
    try:
        return read_idx(path)
    except UserError as error:
        return error


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=mutated(), compress=st.booleans(), cut=st.integers(0, 30))
def test_fuzzed_idx_files_give_the_array_or_the_error(content, compress, cut, tmp_path):
    """Never a crash, never a hang, never another array than the bytes say."""
    path = tmp_path / ("fuzz.gz" if compress else "fuzz")
    stored = gzip.compress(content) if compress else content
    stored = stored[: len(stored) - cut] if cut > 25 else stored
    path.write_bytes(stored)
    array = read_or_error(path)
    if isinstance(array, UserError):
        assert str(path) in str(array)
        assert "\n" not in str(array)
        return
    dimensions = content[3]
    sizes = tuple(
        int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dimensions)
    )
    assert content[:3] == b"\x00\x00\x08"
    assert array.shape == sizes
    assert array.dtype == np.uint8
    assert array.tobytes() == content[4 + 4 * dimensions :]


def test_nothing_read_from_disk_can_run_code(tmp_path):
    """Checkpoints and weights load with torch's safe loader only."""

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"), stat.S_IRWXU)

    folder = Folder(tmp_path, setting_of())
    for path in (folder.checkpoint(0), folder.weights(0)):
        path.write_bytes(pickle.dumps(Attack(), protocol=2))
    assert read_checkpoint(folder, 0) is None
    with pytest.raises(IncompleteFileError):
        read_tensors(folder.weights(0))
    assert not (tmp_path / "pwned").exists()
