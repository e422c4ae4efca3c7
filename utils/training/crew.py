"""The networks of a group in training on a CPU, by a process of one thread for every core.

A step of one network is over in a millisecond or two, too short to be shared among threads without
much waiting. Networks do not interact, so cores that have networks of their own never wait.
"""

from __future__ import annotations

import gc
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum, auto
from multiprocessing.connection import wait

import torch

from utils.data.currents import Currents
from utils.errors import RecordError, UserError
from utils.hardware import OutOfMemory
from utils.records.archive import Archive
from utils.records.results import Result
from utils.settings import Member
from utils.stop import held_back
from utils.training.engine import Engine, load_compiler
from utils.training.trainings import Epoch, Trainings
from utils.training.workers import Died, Line, Worker

POLL = 0.1  # seconds between two looks at whether to stop or to keep checkpoints


class Note(Enum):
    CHECKPOINTS = auto()  # to a process: send the checkpoints of your networks
    DONE = auto()  # from a process: all my networks have their results


class Crew:
    """Trains a group after the other; each process has `Trainings` of its share of the group.

    A crew of 1 is this process itself. Raises what a process raises, and Died if one does.
    Checkpoints are read there, all files are written here.
    """

    def __init__(self, processes: int, currents: Currents, engine: Engine, archive: Archive):
        self.processes, self.engine, self.device = processes, engine, currents.train.device
        self.tools = currents, engine, archive
        self.workers: list[Worker] = []
        self.busy: list[Line] = []
        self.news: deque[Epoch | Result] = deque()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception) -> None:
        self.end()

    def start(self) -> None:
        if self.engine.compiled:
            load_compiler()  # once for all
        gc.freeze()  # so that collecting garbage copies nothing of the memory that they share
        with held_back():
            for _ in range(self.processes):
                self.workers.append(Worker(Hand, *self.tools))

    def end(self) -> None:
        """End all processes, whatever they are doing."""
        for worker in self.workers:
            worker.end()
        self.workers, self.busy = [], []
        self.news.clear()

    def begin(self, members: Sequence[Member]) -> Crew | Trainings:
        """A group in training, once the first process is ready for it.

        Only then may the others load what it has compiled, or learn that this failed.
        """
        if self.processes == 1:
            return Trainings(members, *self.tools)
        if self.busy or not self.workers:  # the first group, or one after something went wrong
            self.end()
            self.start()
        lines = [worker.line for worker in self.workers[: len(members)]]
        for number, line in enumerate(lines):
            line.send(members[number :: len(lines)])
        self.busy = lines.copy()
        first, *others = lines
        first.send(self.engine.compiled)
        self.engine.compiled = checked(first.receive())
        for line in others:
            line.send(self.engine.compiled)
        return self

    def train(self, pause: Callable[[], None]) -> Iterator[Epoch | Result]:
        """Train all to their results; news in the order in which they come.

        pause: called now and then, when a checkpoint or a stop would be in order.
        """
        while self.busy or self.news:
            for line in wait(self.busy, POLL):
                self.take(line)
            while self.news:
                yield self.news.popleft()
            pause()

    def checkpoints(self) -> list[tuple[Member, dict]]:
        """What each network that has begun needs to go on, from all processes that are alive."""
        content = []
        for line in (worker.line for worker in self.workers):
            with suppress(Died):
                line.send(Note.CHECKPOINTS)
                while (answer := self.take(line)) is None:
                    pass
                content += answer
        return content

    def take(self, line: Line) -> list[tuple[Member, dict]] | None:
        """Receive a message: checkpoints are returned, all else is noted."""
        message = checked(line.receive())
        if isinstance(message, list):
            return message
        if message is Note.DONE:
            self.busy.remove(line)
        elif not isinstance(message, bool):
            self.news.append(message)
        return None


def checked(message):
    """A message that is no error; errors are raised."""
    if isinstance(message, Exception):
        raise message
    return message


class Hand:
    """What a process of the crew does: train its shares, and answer between two steps."""

    def __init__(self, line: Line, currents: Currents, engine: Engine, archive: Archive):
        self.line, self.engine, self.tools = line, engine, (currents, engine, archive)
        self.trainings: Trainings | None = None
        try:
            with torch.no_grad():
                while True:  # until the crew ends it
                    self.obey(line.receive())
        except (OutOfMemory, UserError, RecordError) as error:
            line.send(error)
        except Exception:
            line.send(RuntimeError(f"in a process of the crew:\n{traceback.format_exc()}"))

    def obey(self, message: Note | list[Member]) -> None:
        if message is Note.CHECKPOINTS:
            self.line.send(self.trainings.checkpoints() if self.trainings else [])
        else:
            self.train(message)

    def pause(self) -> None:
        while self.line.has_message():
            self.obey(self.line.receive())

    def train(self, members: list[Member]) -> None:
        self.engine.compiled = self.line.receive()
        self.trainings = Trainings(members, *self.tools)
        self.line.send(self.engine.compiled)
        for news in self.trainings.train(self.pause):
            self.line.send(news)
        self.line.send(Note.DONE)
