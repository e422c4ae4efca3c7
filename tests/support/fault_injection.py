"""Faults that tests put into a run before it starts: see launcher.py, "before"."""

import os
import sys
import time
from pathlib import Path

import torch

import utils.records.summary
from utils.compute import compiler
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer


def wait_a_second() -> None:
    time.sleep(1)


def slow_steps(seconds: float = 0.005, of_network_1: float | None = None) -> None:
    learn = Trainer.learn

    def slowly(trainer):
        is_1 = of_network_1 is not None and trainer.members[0].model == 1
        time.sleep(of_network_1 if is_1 else seconds)
        return learn(trainer)

    Trainer.learn = slowly


def slower_steps() -> None:
    slow_steps(0.02)


def network_1_is_slow() -> None:
    slow_steps(0.005, of_network_1=0.025)


def slow_steps_and_table() -> None:
    slow_steps()
    table = utils.records.summary.table

    def slowly(*arguments):
        time.sleep(1.5)
        return table(*arguments)

    utils.records.summary.table = slowly


def use_up_memory() -> None:
    """Raise the real error of Linux' allocator: more bytes than there are addresses."""
    torch.empty(1 << 60, dtype=torch.uint8)


def memory_that_is_used_up_later() -> None:
    """Let network 1 run out of memory in its third epoch, while network 2 trains."""
    network_1_is_slow()
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


def no_compiler_and_slow_steps() -> None:
    no_compiler()
    slow_steps()


def slow_compiler() -> None:
    def compile_program(module, inputs, cores=1):
        print("at work for a minute", file=sys.stderr, flush=True)
        time.sleep(60)

    compiler.load = lambda path: None  # no program of an earlier run
    compiler.compile_program = compile_program


def network_1_is_poisoned() -> None:
    fresh = Ensemble.fresh

    def poisoned(members, currents, kept):
        ensemble = fresh(members, currents, kept)
        for index, member in enumerate(members):
            if member.model == 1:
                ensemble.network.layers[0].pairs.weight[index] = torch.inf
        return ensemble

    Ensemble.fresh = poisoned
