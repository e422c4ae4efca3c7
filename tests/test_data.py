"""Data sets: IDX files whole and damaged, download, digits, pixels and currents."""

import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch
from conftest import currents_of, dense_currents_of
from support.idx_files import NAMES, example, idx_bytes, write_idx_files

from models.active_inputs import COLUMNS, ActiveInputs
from utils.data import datasets
from utils.data.datasets import DataSet, load
from utils.data.idx import read_idx
from utils.errors import UserError


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("task", "folder"), [("MNIST", "MNIST"), ("Fashion", "FashionMNIST")])
def test_idx_files_in_torchvisions_layout(tmp_path, task, folder, compress):
    arrays = example()
    write_idx_files(tmp_path / folder / "raw", arrays, compress)
    data = load(task, tmp_path)
    loaded = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for actual, expected in zip(loaded, arrays, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert data.n_classes == 3


def test_plain_file_wins_over_gz(tmp_path):
    write_idx_files(tmp_path / "MNIST" / "raw", example(), compress=True)
    newer = example(n_train=20)
    write_idx_files(tmp_path / "MNIST" / "raw", newer)
    np.testing.assert_array_equal(load("MNIST", tmp_path).train_images, newer[0])


WHOLE = idx_bytes(example()[0])
ZIPPED = gzip.compress(WHOLE, mtime=0)  # the time of day would be in the names of tests


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (WHOLE[:3], "shorter than"),
        (WHOLE[:9], "ends inside its header"),
        (WHOLE[:-1], "holds only 1079"),
        (WHOLE + b"x", "holds more"),
        (b"\x00\x01" + WHOLE[2:], "magic number 0001"),
        (b"\x00\x00\x0d" + WHOLE[3:], "type 0x0d"),
        (b"\x00\x00\x08\x07" + WHOLE[4:], "magic number"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "holds only 0"),
        (b"\x00\x00\x08\x03" + b"\x00" * 12, "holds no data"),
        (b"PK\x03\x04 not an IDX file at all", "magic number"),
    ],
)
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gz"])
def test_damaged_idx_file(tmp_path, content, message, compress):
    path = tmp_path / ("file.gz" if compress else "file")
    path.write_bytes(gzip.compress(content) if compress else content)
    with pytest.raises(UserError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)
    assert "replace" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [WHOLE, ZIPPED[:-20], ZIPPED[:40] + b"0" * 90, b""])
def test_damaged_gzip(tmp_path, content):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.gz: "):
        read_idx(path)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A local stand-in for the download server, with small files and their checksums."""
    from torchvision.datasets import MNIST

    served = tmp_path / "served"
    write_idx_files(served, example(), compress=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(served))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    checksums = [
        (f"{name}.gz", hashlib.md5((served / f"{name}.gz").read_bytes()).hexdigest())
        for name in NAMES
    ]
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", checksums)
    yield served
    server.shutdown()
    server.server_close()


def test_download(tmp_path, mirror):
    data = load("MNIST", tmp_path / "datasets")
    np.testing.assert_array_equal(data.test_images, example()[2])
    assert (tmp_path / "datasets" / "MNIST" / "raw" / "t10k-images-idx3-ubyte").is_file()


def test_download_with_wrong_checksum_is_refused(tmp_path, mirror):
    (mirror / f"{NAMES[0]}.gz").write_bytes(b"something else")
    with pytest.raises(UserError, match="could not be downloaded"):
        load("MNIST", tmp_path / "datasets")
    assert not (tmp_path / "datasets").exists()


def test_offline_and_missing(tmp_path, monkeypatch):
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(UserError) as error:
        load("MNIST", tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(error.value)
    assert "--task Digits" in str(error.value)
    assert "--data_dir" in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_the_files_that_were_there(tmp_path, mirror):
    """The last of the four is missing at the server; one is there already."""
    (mirror / f"{NAMES[3]}.gz").unlink()
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / NAMES[0]).write_bytes(b"mine")
    with pytest.raises(UserError, match="could not be downloaded"):
        load("MNIST", tmp_path)
    assert [path.name for path in raw.iterdir()] == [NAMES[0]]
    assert (raw / NAMES[0]).read_bytes() == b"mine"


def test_digits_are_the_bundled_ones_in_a_fixed_stratified_split():
    data, again = load("Digits", None), load("Digits", None)
    assert data.train_images.shape == (1500, 28, 28)
    assert data.test_images.shape == (297, 28, 28)
    assert data.n_classes == 10
    np.testing.assert_array_equal(data.train_images, again.train_images)
    counts = np.bincount(data.test_labels)
    assert counts.min() >= 28
    assert counts.max() <= 31
    assert data.train_images.max() == 255


def test_padding_and_scale_by_hand():
    images = np.array([[[255, 51]], [[0, 102]]], dtype=np.uint8)  # two images of 1 x 2 pixels
    data = DataSet(images, np.array([0, 1]), images, np.array([1, 0]))
    currents = dense_currents_of(data)
    assert currents.active_inputs.total == 3 * 4
    assert currents.inputs.train.shape == (2, 12)  # fewer than the round number: all of them
    padded = torch.zeros(2, 12)
    padded[:, currents.active_inputs.active] = currents.inputs.train
    expected = torch.tensor([[0.001, 0.0002], [0.0, 0.0004]])
    torch.testing.assert_close(padded[:, 5:7], expected)
    assert padded.count_nonzero() == 3


def test_inputs_are_active_or_always_zero():
    train = np.zeros((3, 40), dtype=np.uint8)
    test = np.zeros((2, 40), dtype=np.uint8)
    train[1, 10:30] = 1  # 20 active in training: rounded up to 32
    test[0, 0:15] = 1  # of which 10 are used in tests alone
    inputs = ActiveInputs.from_images(train, test)
    assert len(inputs.active) == 2 * COLUMNS
    assert set(range(10, 30)) | set(range(0, 10)) <= set(inputs.active.tolist())
    assert sorted(torch.cat([inputs.active, inputs.always_zero]).tolist()) == list(range(40))
    test[1, 30:40] = 1
    inputs = ActiveInputs.from_images(train, test)
    assert inputs.n_tested == 8
    assert set(inputs.tested.tolist()) == set(range(40))


def test_inputs_of_tests_alone_come_first_of_those_that_are_zero_in_training():
    train, test = (np.zeros((1, 100), dtype=np.uint8) for _ in range(2))
    train[0, :COLUMNS] = 1
    test[0, 50:60] = 1
    inputs = ActiveInputs.from_images(train, test)
    assert inputs.active.tolist() == list(range(COLUMNS))
    assert inputs.n_tested == 10
    assert inputs.always_zero[:10].tolist() == list(range(50, 60))


def test_real_mnist(mnist_dir):
    data = datasets.load("MNIST", mnist_dir)
    assert data.train_images.shape == (60000, 28, 28)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.test_labels).tolist() == counts
    currents = currents_of(data, padding=2)
    assert currents.active_inputs.total == 1024
    assert 717 <= len(currents.active_inputs.active) < 717 + COLUMNS
