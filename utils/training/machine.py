"""The sizes of the data and the machine, on which a plan depends besides the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from models.currents import Currents
from models.kernels.load import kernels_in_use
from models.matmul import repeats_itself
from utils.compute.processor import free_bytes, hardware
from utils.compute.worker import holds_in_fork
from utils.settings import Setting
from utils.training.evaluation import TEST_BATCH


@dataclass(frozen=True)
class Sizes:
    """The sizes of a data set: inputs of a network, classes, training images."""

    n_inputs: int
    n_classes: int
    n_train: int

    def weights(self, layers: Sequence[int]) -> int:
        """Return the number of weights of one network; layers: sizes of its hidden layers."""
        sizes = [self.n_inputs, *layers, self.n_classes]
        return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


@dataclass(frozen=True)
class Machine:
    """The processor on which this process computes.

    cores: the cores that this process may use; processes: the processes of this run on this
    machine, which share the memory of a CPU; is_repeatable: whether networks have the same bits
    with any number of threads; name: the name of the processor; kernels: for each kernel in C++
    whether it is in use.
    """

    is_gpu: bool
    cores: int
    free_bytes: float
    processes: int = 1
    is_repeatable: bool = True
    name: str = ""
    kernels: Mapping[str, bool] = field(default_factory=dict)


def sizes_of(currents: Currents) -> Sizes:
    return Sizes(currents.n_inputs, currents.n_classes, currents.n_train)


def examine(currents: Currents, cores: int, processes: int) -> Machine:
    """Return the machine on which the data are, with the memory that is free now."""
    is_gpu, device = currents.are_on_gpu, currents.device
    return Machine(
        is_gpu=is_gpu,
        cores=cores,
        free_bytes=free_bytes(device),
        processes=1 if is_gpu else processes,
        name=hardware(device),
        kernels=kernels_in_use(device),
    )


def try_threads(machine: Machine, currents: Currents, settings: Sequence[Setting]) -> Machine:
    """Try whether products have the same bits with any number of threads; returns the machine.

    They are computed in a fork; networks of these settings must fit into the memory.
    """
    counts = {machine.cores // workers for workers in range(1, machine.cores + 1)} - {1}
    if machine.is_gpu or not counts:
        return machine
    layers = dict.fromkeys(setting.layers for setting in settings)
    shapes = [
        shape
        for sizes in layers
        for shape in product_shapes(replace(settings[0], layers=sizes), currents)
    ]

    def all_repeat() -> bool:
        return all(repeats_itself(*shape, count) for shape in shapes for count in counts)

    return replace(machine, is_repeatable=holds_in_fork(all_repeat))


def product_shapes(setting: Setting, currents: Currents) -> list[tuple[int, int, int]]:
    """Return m, k, n of all dense products [m, k] times [k, n] of training and testing.

    Sparse products are not among them: the order of their sums does not depend on threads.
    """
    n_train, n_test = currents.n_train, currents.n_test
    batch = min(setting.batch_size, n_train)
    trained = {batch, n_train % batch} - {0}  # images in a batch
    tested = {min(TEST_BATCH, n_test), n_test % TEST_BATCH} - {0}
    sizes = [*setting.layers, currents.n_classes]
    shapes = currents.inputs.product_shapes(sizes[0], trained, tested)
    for n_in, n_out in pairwise(sizes):
        shapes += [(n_out, n_in, n) for n in trained | tested]  # V = W I
        shapes += [(n_out, n, n_in) for n in trained]  # dL/dW = g I^T
        shapes += [(n_in, n_out, n) for n in trained]  # dL/dI = W^T g
    return shapes
