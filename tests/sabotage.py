"""What can go wrong within a run, done to it before it starts: see launcher.py, "before"."""

from utils.training import engine
from utils.training.trainings import Trainings


def memory_for_one_network_a_process() -> None:
    begin = Trainings.__init__

    def too_many(trainings, members, *tools):
        if len(members) > 1:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        begin(trainings, members, *tools)

    Trainings.__init__ = too_many


def a_mistake_in_the_second_epoch() -> None:
    train = Trainings.train

    def fails(trainings, pause):
        for news in train(trainings, pause):
            if news.number == 2:
                raise KeyError("a mistake")
            yield news

    Trainings.train = fails


def no_compiler() -> None:
    def compile_program(module, inputs):
        raise RuntimeError("no C++ compiler found")

    engine.compile_program = compile_program
