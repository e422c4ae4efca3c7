"""What is timed. Each subject has a name and `run(steps)`, which takes some training steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from devices.library import find as find_device
from models.currents import Currents
from models.matmul import product
from models.sparse_matmul import to_blocks
from tests.benchmarks.digital import Digital
from tests.benchmarks.straightforward import Straightforward
from utils.compute.compiler import Compiler
from utils.data.datasets import DataSet, find, load
from utils.settings import Member, Setting
from utils.studies import STUDIES
from utils.training.kernels import load_kernels_of
from utils.training.trainer import Trainer

BATCH = 128
FIELD = find_device("double-linear")
(FIGURE_1,) = STUDIES["figure1"].settings({"field": (FIELD,), "lr": (1000.0,)})


def data_set(data_dir: Path) -> tuple[DataSet, str]:
    """MNIST if it is there, otherwise random images of its shape and sparsity."""
    if find(data_dir / "MNIST" / "raw", "train-images-idx3-ubyte"):
        return load("MNIST", data_dir), "MNIST"
    rng = np.random.default_rng(0)
    active = rng.permutation(28 * 28)[:717]  # pixels that are not zero in some image

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = np.zeros((n, 28 * 28), dtype=np.uint8)
        values = rng.integers(1, 256, (n, 717), dtype=np.uint8)
        images[:, active] = values * (rng.random((n, 717), dtype=np.float32) < 0.21)
        return images.reshape(n, 28, 28), rng.integers(0, 10, n)

    return DataSet(*part(60_000), *part(10_000)), "random images like MNIST"


def currents_of(data: DataSet, device: torch.device, batch_size: int = BATCH) -> Currents:
    """The data as figure 1 takes it; batches of one image are always dense."""
    load_kernels_of([FIGURE_1], device)
    return Currents.from_arrays(
        data.arrays, data.n_classes, FIGURE_1.padding, FIGURE_1.input_scale, device, batch_size
    )


@dataclass(frozen=True)
class Images:
    """The training set for networks that see all pixels: float32 [n, pixels] in 0..1."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def of(cls, currents: Currents, input_scale: float) -> Images:
        inputs, train = currents.active_inputs, currents.inputs.train
        whole = train.new_zeros(currents.n_train, inputs.total)
        whole[:, inputs.active.to(whole.device)] = train / input_scale
        return cls(whole, currents.train_labels)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        start = BATCH * (number % (len(self.pixels) // BATCH))
        return self.pixels[start : start + BATCH], self.labels[start : start + BATCH]


class OneNetwork:
    """A network trained on its own: `steps` mini-batches of one network."""

    networks = 1

    def __init__(self, network, images: Images):
        self.network, self.images = network, images

    def run(self, steps: int) -> None:
        for number in range(steps):
            self.network.step(*self.images.batch(number))


class Loop(OneNetwork):
    name = "straightforward loop"

    def __init__(self, setting: Setting, images: Images):
        with torch.device(images.pixels.device):
            sizes = images.pixels.shape[1], setting.layers[0]
            noises = setting.var, setting.resistor_noise, setting.voltage_noise
            driven = setting.field.name, setting.lr, *noises, setting.clipping
            network = Straightforward(*sizes, *driven)
        super().__init__(network, images)


class Ideal(OneNetwork):
    name = "ideal digital network"

    def __init__(self, setting: Setting, images: Images):
        with torch.device(images.pixels.device):
            network = Digital(images.pixels.shape[1], setting.layers[0])
        super().__init__(network, images)


class Products:
    """I W^T and g^T I of the first layer alone, at the inputs that train."""

    def __init__(self, setting: Setting, currents: Currents, networks: int, library: str):
        self.name = f"two products ({library})"
        self.multiply = product if library == "the engine's" else torch.matmul
        self.networks, self.rows = networks, currents.inputs.train
        shape = (networks, setting.layers[0], self.rows.shape[1])
        self.weight = torch.randn(shape, device=self.rows.device)

    def run(self, steps: int) -> None:
        weights = self.weight.split(1) if self.rows.device.type == "cpu" else [self.weight]
        for weight in weights:
            weight = weight if self.multiply is product else weight.flatten(0, 1)
            for number in range(steps):
                start = BATCH * (number % (len(self.rows) // BATCH))
                current = self.rows[start : start + BATCH]
                voltage = self.multiply(weight, current.T)
                self.multiply(voltage, current)


class SparseProducts:
    """I W^T and g^T I by the engine's kernel for sparse inputs, whose floor this is."""

    name = "two products (sparse)"

    def __init__(self, setting: Setting, currents: Currents, networks: int):
        self.networks, self.currents, self.n_outputs = networks, currents, setting.layers[0]
        self.weight = to_blocks(torch.randn(1, self.n_outputs, len(currents.active_inputs.active)))

    def run(self, steps: int) -> None:
        for _ in range(self.networks):
            for number in range(steps):
                batch, _ = self.currents.batch(number % (self.currents.n_train // BATCH), BATCH)
                batch.gradient(batch.voltage(self.weight, self.n_outputs))


class Ours:
    """The engine, by this process: on a CPU one network after the other, on a GPU side by side."""

    name = "engine, in one process"

    def __init__(self, setting: Setting, currents: Currents, networks: int, compiled=True):
        self.networks = networks
        members = [Member(setting, model) for model in range(networks)]
        jobs = [members] if currents.device.type == "cuda" else [[member] for member in members]
        compiler = Compiler(compiled)
        self.trainers = [Trainer(job, currents, compiler, currents.are_on_gpu) for job in jobs]
        self.trainers[0].prepare()

    @torch.no_grad()
    def run(self, steps: int) -> None:
        for trainer in self.trainers:
            for _ in range(steps):
                trainer.learn()

    @torch.no_grad()
    def test(self) -> None:
        for trainer in self.trainers:
            trainer.test()
