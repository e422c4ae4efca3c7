"""What is timed. Each subject has a name and `run(steps)`, which takes some training steps."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.product import product
from tests.benchmarks.digital import Digital
from tests.benchmarks.straightforward import Straightforward
from utils.data.currents import Currents
from utils.data.datasets import DataSet, find, load
from utils.hardware import usable_cores
from utils.settings import Member, Setting
from utils.training.engine import Engine
from utils.training.group import ensembles_of
from utils.training.training import Training

BATCH = 128
FIGURE_1 = Setting(
    task="MNIST", field="double-linear", lr=1000.0, var=0.2, resistor_noise=0.015,
    voltage_noise=1.5e-6, clipping=0.1, seed=100, epochs=20, batch_size=128, layers=(512,),
    init=0.01, input_scale=0.001, padding=2,
)  # fmt: skip


def data_set(data_dir: Path) -> tuple[DataSet, str]:
    """MNIST if it is there, otherwise random images of its shape and sparsity."""
    if find(data_dir / "MNIST" / "raw", "train-images-idx3-ubyte"):
        return load("MNIST", data_dir), "MNIST"
    rng = np.random.default_rng(0)
    lit = rng.permutation(28 * 28)[:717]  # pixels lit in some image

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = np.zeros((n, 28 * 28), dtype=np.uint8)
        values = rng.integers(1, 256, (n, 717), dtype=np.uint8)
        images[:, lit] = values * (rng.random((n, 717), dtype=np.float32) < 0.21)
        return images.reshape(n, 28, 28), rng.integers(0, 10, n)

    return DataSet(*part(60_000), *part(10_000)), "random images like MNIST"


@dataclass(frozen=True)
class Images:
    """The training set for networks that see all pixels: float32 [n, pixels] in 0..1."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def of(cls, currents: Currents, input_scale: float) -> Images:
        whole = currents.train.new_zeros(len(currents.train), currents.pixels.total)
        whole[:, currents.pixels.lit.to(whole.device)] = currents.train / input_scale
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
            network = Straightforward(
                images.pixels.shape[1], setting.layers[0], setting.field, setting.lr, setting.var,
                setting.resistor_noise, setting.voltage_noise, setting.clipping,
            )  # fmt: skip
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
        self.networks, self.rows = networks, currents.train
        shape = (networks, setting.layers[0], currents.train.shape[1])
        self.weight = torch.randn(shape, device=currents.train.device)

    def run(self, steps: int) -> None:
        weights = self.weight.split(1) if self.rows.device.type == "cpu" else [self.weight]
        for weight in weights:
            weight = weight if self.multiply is product else weight.flatten(0, 1)
            for number in range(steps):
                start = BATCH * (number % (len(self.rows) // BATCH))
                current = self.rows[start : start + BATCH]
                voltage = self.multiply(weight, current.T)
                self.multiply(voltage, current)


class Ours:
    """The engine, as a run uses it."""

    name = "engine"

    def __init__(self, setting: Setting, currents: Currents, networks: int, compiled=True):
        self.networks = networks
        members = [Member(setting, model) for model in range(networks)]
        engine = Engine(compiled)
        self.trainings = [
            Training(part, currents, engine) for part in ensembles_of(members, currents)
        ]
        self.trainings[0].prepare()

    @torch.no_grad()
    def run(self, steps: int) -> None:
        for training in self.trainings:
            for _ in range(steps):
                training.take_step()


class Spread:
    """The engine in a process of one thread for every core, as torchrun starts them."""

    name = "engine, a process a core"

    def __init__(self, setting: Setting, data_dir: Path, networks: int, compiled=True):
        self.networks = networks
        cores = min(usable_cores(), networks)
        shares = [networks // cores + (core < networks % cores) for core in range(cores)]
        context = multiprocessing.get_context("spawn")
        self.pipes = []
        for share in shares:
            here, there = context.Pipe()
            arguments = (there, setting, data_dir, share, compiled)
            context.Process(target=serve, args=arguments, daemon=True).start()
            self.pipes.append(here)
        for pipe in self.pipes:
            pipe.recv()

    def run(self, steps: int) -> None:
        for pipe in self.pipes:
            pipe.send(steps)
        for pipe in self.pipes:
            pipe.recv()


def serve(pipe: Connection, setting: Setting, data_dir: Path, networks: int, compiled: bool):
    """A process of Spread: trains its share of the networks whenever it is told to."""
    torch.set_num_threads(1)
    data, _ = data_set(data_dir)
    currents = Currents.of(data, setting.padding, setting.input_scale, torch.device("cpu"))
    ours = Ours(setting, currents, networks, compiled)
    with suppress(EOFError):  # when the benchmark has done with it
        while True:
            pipe.send("ready")
            ours.run(pipe.recv())
