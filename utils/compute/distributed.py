"""The processes of one run: this one alone, or those that torchrun started."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from utils.compute.processor import usable_cores
from utils.compute.signals import Stop
from utils.errors import FailedOnOtherRankError, RecordError, UserError, WorkerDiedError

T = TypeVar("T")
COLLECTIVE_TIMEOUT = timedelta(days=365)  # processes wait as long as the slowest one trains
POLL_S = 0.2  # seconds
LAUNCH = "start several processes with torchrun, or unset WORLD_SIZE, RANK and their like"


@contextmanager
def collective() -> Iterator[None]:
    """Communication with the other processes; raises WorkerDiedError if one of them has died."""
    try:
        yield
    except RuntimeError:  # the base class of all errors of torch.distributed
        raise WorkerDiedError(
            "another process of this run has died; what is complete is safe, and the same command "
            "with --resume goes on"
        ) from None


class World:
    """The rank of this process and the number of processes, on all machines and on this one."""

    def __init__(self):
        def variable(name: str, default: int) -> int:
            try:
                return int(os.environ.get(name, default))
            except ValueError:
                raise UserError(f"${name} is no number; {LAUNCH}") from None

        self.rank, self.size = variable("RANK", 0), variable("WORLD_SIZE", 1)
        self.local_size = variable("LOCAL_WORLD_SIZE", 1)
        # Among the processes on this machine; None for one alone there.
        self.local_rank = variable("LOCAL_RANK", 0) if self.local_size > 1 else None
        self.restarts = variable("TORCHELASTIC_RESTART_COUNT", 0)
        if self.size > 1:
            self.join()

    def join(self) -> None:
        """Meet the other processes, at the address that torchrun gave."""
        try:
            store, rank, size = next(rendezvous("env://"))
        except ValueError as error:
            raise UserError(
                f"$WORLD_SIZE is set, but not all it needs ({error}); {LAUNCH}"
            ) from None
        # After a restart the store still holds the addresses of the processes before.
        store = dist.PrefixStore(  # pyright: ignore[reportPrivateImportUsage]
            f"attempt {self.restarts}", store
        )
        with collective():
            dist.init_process_group(
                "gloo", store=store, rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT
            )

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def take_cores(self) -> int:
        """Return the number of cores of this machine that this process may use, at least 1.

        The process is set to one thread until the plan is known: a process that has computed with
        several threads can no longer be forked safely.
        """
        # OpenMP may have bound this process to one core ($OMP_PROC_BIND), and its children with it.
        cores = min(torch.get_num_threads(), usable_cores())
        if self.local_size > 1:
            cores = usable_cores() // self.local_size
        torch.set_num_threads(1)
        return max(1, cores)

    def shard(self, items: Sequence[T]) -> list[T]:
        """Return this process's part of the items: every `size`-th one."""
        return list(items[self.rank :: self.size])

    def broadcast(self, decide: Callable[[], dict]) -> dict:
        """Return in every process what `decide` returns in process 0, a dict ready for JSON.

        If `decide` fails, process 0 raises its error, and the others raise FailedOnOtherRankError.
        """
        if self.size == 1:
            return decide()
        if not self.is_first:
            message = self.receive()
            if "exit_code" in message:
                raise FailedOnOtherRankError(message["exit_code"])
            return message["decision"]
        try:
            decision = decide()
        except (UserError, RecordError) as error:
            self.send({"exit_code": 2 if isinstance(error, UserError) else 1})
            raise
        self.send({"decision": decision})
        return decision

    def rank_zero_first(self, make: Callable[[], T]) -> T:
        """Return `make()`, which process 0 calls before the others, as it may write their files."""
        made: list[T] = []

        def first() -> dict:
            made.append(make())
            return {}

        self.broadcast(first)
        return made[0] if made else make()

    def send(self, message: dict) -> None:
        content = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        with collective():
            dist.broadcast(torch.tensor([len(content)]), src=0)
            dist.broadcast(content, src=0)

    def receive(self) -> dict:
        length = torch.zeros(1, dtype=torch.int64)
        with collective():
            dist.broadcast(length, src=0)
            content = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(content, src=0)
        return json.loads(bytes(content.tolist()))

    def wait_for_all(self, stop: Stop) -> None:
        """Return once every process has called this; raises StoppedError if a stop is requested."""
        if self.size == 1:
            return
        with collective():
            work = dist.barrier(async_op=True)
            while not work.is_completed():
                stop.check()
                time.sleep(POLL_S)
            work.wait()  # raises if it was completed by the death of another process
            dist.destroy_process_group()
