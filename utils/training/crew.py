"""Training on a CPU by a process of one thread for every core.

A step of one network is over in a millisecond or two, too short to be shared among threads without
much waiting. Networks do not interact, so cores that have networks of their own never wait.
"""

from __future__ import annotations

import gc
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import wait

from utils.data.currents import Currents
from utils.errors import UserError
from utils.hardware import OutOfMemory
from utils.records.archive import Archive
from utils.records.results import Result
from utils.settings import Member
from utils.training.engine import Engine, load_compiler
from utils.training.share import Checkpoint, Epoch, Share
from utils.training.workers import Died, Line, Worker

POLL = 0.1  # seconds between two looks at whether to stop or to keep checkpoints


@dataclass(frozen=True)
class Begin:
    """To a hand: train these networks."""

    members: Sequence[Member]
    compiled: bool


@dataclass(frozen=True)
class Begun:
    """From a hand: all is made and compiled, or uncompiled if that failed."""

    compiled: bool


class Note(Enum):
    CHECKPOINTS = auto()  # to a hand: send your checkpoints
    NO_MORE = auto()  # from a hand: these were all checkpoints
    DONE = auto()  # from a hand: all results were sent


class Crew:
    """Trains one group of networks after the other, a share of it in each of its processes.

    A crew of 1 is this process itself. Checkpoints are read by the hands, as the processes are
    called; all files are written by this one. Raises what a hand raises, and Died if one dies.
    """

    def __init__(self, processes: int, currents: Currents, engine: Engine, archive: Archive):
        self.processes, self.engine, self.archive = processes, engine, archive
        self.currents = currents
        self.workers: list[Worker] = []
        self.busy: list[Line] = []  # to the hands that train
        self.news: deque[Epoch | Result] = deque()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception) -> None:
        self.end()

    def start(self) -> None:
        if self.engine.compiled:
            with suppress(Exception):  # the hands will tell what is wrong with it
                load_compiler()  # once for all
        gc.freeze()  # so that collecting garbage copies nothing of the memory that they share
        try:
            for _ in range(self.processes):
                self.workers.append(Worker(work, self.currents, self.engine, self.archive))
        except OSError as error:
            raise UserError(
                f"the system starts no {self.processes} processes ({error.strerror}); set "
                "$OMP_NUM_THREADS to how many there may be"
            ) from None

    def end(self) -> None:
        """End all processes, whatever they are doing."""
        for worker in self.workers:
            worker.end()
        self.workers, self.busy = [], []
        self.news.clear()

    def begin(self, members: Sequence[Member]) -> Crew | Share:
        """A group in training."""
        if self.processes == 1:
            return Share(members, self.currents, self.engine, self.archive)
        if self.busy or not self.workers:  # the first group, or one after something went wrong
            self.end()
            self.start()
        lines = [worker.line for worker in self.workers[: len(members)]]
        for number, line in enumerate(lines):
            self.busy.append(line)
            line.send(Begin(members[number :: len(lines)], self.engine.compiled))
            if number == 0 and self.engine.compiled:
                # The others load what the first has compiled, or learn that this failed.
                self.engine.compiled = checked(line.receive()).compiled
        return self

    def train(self, pause: Callable[[], None]) -> Iterator[Epoch | Result]:
        """Train all to their results; news in the order in which they come.

        pause: called now and then, when a checkpoint or a stop would be in order.
        """
        errors = []
        while self.busy or self.news:
            for line in wait(self.busy, POLL):
                try:
                    self.take(line)
                except Exception as error:  # not before what others have sent is safe
                    errors.append(error)
            while self.news:
                yield self.news.popleft()
            if errors:
                raise errors[0]
            pause()

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Of each network that has begun and whose process is alive, as they come."""
        asked, errors = [], []
        for line in self.busy:
            with suppress(Died):
                line.send(Note.CHECKPOINTS)
                asked.append(line)
        while asked:
            for line in wait(asked):
                try:
                    message = self.take(line)
                except Died:
                    asked.remove(line)
                except Exception as error:  # not before the others are heard
                    errors.append(error)
                    asked.remove(line)
                else:
                    if isinstance(message, Checkpoint):
                        yield message
                    elif message is Note.NO_MORE:
                        asked.remove(line)
        if errors:
            raise errors[0]

    def take(self, line: Line) -> Checkpoint | Note | None:
        """Receive a message: news are kept, what belongs to checkpoints is returned."""
        message = checked(line.receive())
        if isinstance(message, (Epoch, Result)):
            self.news.append(message)
        elif message is Note.DONE:
            self.busy.remove(line)
        elif not isinstance(message, Begun):
            return message
        return None


def checked(message):
    """A message that is no error; errors are raised."""
    if isinstance(message, Exception):
        raise message
    return message


def work(line: Line, currents: Currents, engine: Engine, archive: Archive) -> None:
    """What a process of a crew does, until the crew ends it."""
    archive.forget_locks()
    try:
        Hand(line, currents, engine, archive).obey_all()
    except Died:  # nobody is there to be told
        return
    except (OutOfMemory, UserError) as error:
        line.send(error)
    except Exception:
        line.send(RuntimeError(f"in a process of the crew:\n{traceback.format_exc()}"))


class Hand:
    """Trains its shares of the groups, and sends checkpoints between two steps."""

    def __init__(self, line: Line, currents: Currents, engine: Engine, archive: Archive):
        self.line, self.currents, self.engine, self.archive = line, currents, engine, archive
        self.share: Share | None = None

    def obey_all(self) -> None:
        while True:
            self.obey(self.line.receive())

    def obey(self, message: Begin | Note) -> None:
        if isinstance(message, Begin):
            self.train(message)
        else:
            for checkpoint in self.share.checkpoints():
                self.line.send(checkpoint)
            self.line.send(Note.NO_MORE)

    def train(self, message: Begin) -> None:
        self.engine.compiled = message.compiled
        self.share = None  # its memory is needed
        self.share = Share(message.members, self.currents, self.engine, self.archive)
        self.line.send(Begun(self.engine.compiled))
        for news in self.share.train(self.pause):
            self.line.send(news)
        self.line.send(Note.DONE)

    def pause(self) -> None:
        while self.line.has_message():
            self.obey(self.line.receive())
