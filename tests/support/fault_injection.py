"""Faults, and gates to wait at, that tests put into a run before it starts: see launcher.py."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import utils.records.summary
from utils.compute import compiler
from utils.data import datasets
from utils.records import results
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

GATES = "TEST_GATES"  # the environment variable that says where files of opened gates are
LONGEST_WAIT_S = 250.0


def is_open(gate: str) -> bool:
    return Path(f"{os.environ[GATES]}.{gate}").exists()


def wait_at(gate: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until the test opens a gate, see `Process.open`; without a test, not for ever."""
    end = time.monotonic() + LONGEST_WAIT_S
    while not is_open(gate):
        if time.monotonic() > end:
            raise TimeoutError(f"nobody opened the gate {gate!r}")
        time.sleep(0.002)
        meanwhile()


def hold(step: int, *models: int) -> None:
    """Let networks wait before a mini-batch for the gate of their number, `network 1`.

    models: their numbers, by default all. As between any two steps, they write the checkpoints that
    are due meanwhile, and obey a stop. So a test meets them there, however slow the machine is.
    """
    train = Trainer.train

    def held(trainer, checkpoint_if_due):
        model = trainer.members[0].model

        def wait():
            checkpoint_if_due()
            if trainer.step == step and (not models or model in models):
                wait_at(f"network {model}", checkpoint_if_due)

        return train(trainer, wait)

    Trainer.train = held


def hold_until_restarted(step: int) -> None:
    """Under torchrun, hold the first attempt, and write each rank's process number to a gate."""
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        Path(f"{os.environ[GATES]}.{os.environ['RANK']}").write_text(str(os.getpid()))
        hold(step)


def hold_with_table(step: int) -> None:
    """Let the table wait for a gate, too."""
    hold(step)
    table = utils.records.summary.table

    def held(*arguments):
        wait_at("table")
        return table(*arguments)

    utils.records.summary.table = held


def hold_loading() -> None:
    datasets.load = lambda *_: wait_at("loading")


def hold_writing() -> None:
    """Let each file of a result wait after it is written."""
    write = results.write_tensors

    def held(path, content):
        write(path, content)
        wait_at("writing")

    results.write_tensors = held


def wait_a_second() -> None:
    time.sleep(1)


def use_up_memory() -> None:
    """Raise the real error of Linux' allocator: more bytes than there are addresses."""
    torch.empty(1 << 60, dtype=torch.uint8)


def memory_that_is_used_up_later() -> None:
    """Let network 1 run out of memory after its second epoch, while network 2 is held in it."""
    hold(7, 1, 2)
    network_1_needs_all_memory(from_epoch=2)


def network_1_needs_all_memory(from_epoch: int) -> None:
    """Let network 1 run out of memory as long as there is another worker."""
    train = Trainer.train

    def fails(trainer, checkpoint_if_due):
        check(trainer, 0)
        for epoch in train(trainer, checkpoint_if_due):
            check(trainer, epoch + 1)
            yield epoch

    def check(trainer, epoch):
        parent = os.getppid()
        siblings = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if epoch >= from_epoch and trainer.members[0].model == 1 and len(siblings) > 1:
            use_up_memory()

    Trainer.train = fails


def memory_for_none() -> None:
    def fails(trainer, checkpoint_if_due):
        use_up_memory()
        yield

    Trainer.train = fails


def a_mistake_in_the_second_epoch() -> None:
    news = Trainer.news

    def fails(trainer, epoch):
        if epoch == 1:
            raise KeyError("a mistake")
        return news(trainer, epoch)

    Trainer.news = fails


def no_compiler() -> None:
    def compile_program(module, inputs, cores=1):
        raise ImportError("no C++ compiler found")

    compiler.load = lambda path: None  # no program of an earlier run
    compiler.compile_program = compile_program


def no_compiler_and_hold(step: int) -> None:
    no_compiler()
    hold(step)


def hold_compiler() -> None:
    def compile_program(module, inputs, cores=1):
        print("compiling waits", file=sys.stderr, flush=True)
        wait_at("compiler")

    compiler.load = lambda path: None  # no program of an earlier run
    compiler.compile_program = compile_program


def network_1_is_poisoned() -> None:
    fresh = Ensemble.fresh

    def poisoned(members, currents, ledger_level):
        ensemble = fresh(members, currents, ledger_level)
        for index, member in enumerate(members):
            if member.model == 1:
                ensemble.network.layers[0].pairs.weight[index] = torch.inf
        return ensemble

    Ensemble.fresh = poisoned
