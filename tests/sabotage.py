"""What can happen to a run, done to it before it starts: see launcher.py, "before"."""

import time

import torch

import utils.report
from utils.training import engine, plan
from utils.training.ensemble import Ensemble
from utils.training.share import Share
from utils.training.training import Training

NO_MEMORY = RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")


def slow_steps() -> None:
    take_step = Training.take_step

    def slowly(training):
        time.sleep(0.005)
        return take_step(training)

    Training.take_step = slowly


def slow_steps_and_table() -> None:
    slow_steps()
    table = utils.report.table

    def slowly(*arguments):
        time.sleep(3)
        return table(*arguments)

    utils.report.table = slowly


def memory_for_one_network_a_process() -> None:
    begin = Share.__init__

    def too_many(share, members, *tools):
        if len(members) > 1:
            raise NO_MEMORY
        begin(share, members, *tools)

    Share.__init__ = too_many


def memory_that_is_used_up_later() -> None:
    """By processes of two networks, when those of one network are through."""
    train = Share.train

    def fails(share, pause):
        if len(share.trainings) > 1:
            time.sleep(2)
            raise NO_MEMORY
        return train(share, pause)

    Share.train = fails


def memory_for_two_networks() -> None:
    plan.networks_at_once = lambda *arguments: 2


def a_mistake_in_the_second_epoch() -> None:
    train = Share.train

    def fails(share, pause):
        for news in train(share, pause):
            if news.number == 2:
                raise KeyError("a mistake")
            yield news

    Share.train = fails


def no_compiler() -> None:
    def compile_program(module, inputs):
        raise RuntimeError("no C++ compiler found")

    engine.compile_program = compile_program


def slow_compiler() -> None:
    engine.compile_program = lambda module, inputs: time.sleep(60)


def network_1_is_poisoned() -> None:
    fresh = Ensemble.fresh

    def poisoned(members, *arguments):
        ensemble = fresh(members, *arguments)
        for index, member in enumerate(members):
            if member.model == 1:
                ensemble.network.arrays[0].weight[index] = torch.inf
        return ensemble

    Ensemble.fresh = poisoned
