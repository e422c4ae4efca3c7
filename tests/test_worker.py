"""A process forked from this one: what travels, its threads, its death, and whether to trust it."""

import errno
import os
import signal
import sys
import time

import pytest
import torch
from support.errands import Counting, Errands, assert_no_children

from utils.compute import worker
from utils.compute.pool import run_jobs
from utils.compute.signals import StoppedError
from utils.compute.worker import WorkerDiedError, holds_in_a_fork, in_a_fork
from utils.errors import UserError


def test_tensors_travel(tmp_path, stop):
    class Tensors(Errands):
        def run(self, job, stop):
            yield torch.full((3,), float(job))

    messages = run_jobs(Tensors(tmp_path), [1, 2], stop, 2)
    assert sorted(message.tolist() for message in messages) == [[1.0] * 3, [2.0] * 3]


def test_the_death_of_a_worker_lets_the_other_finish_its_checkpoint(tmp_path, stop):
    class Dying(Errands):
        def dies(self, stop):
            self.wait_for("the other is heard of")
            yield from ()
            os.kill(os.getpid(), signal.SIGKILL)

        def lives(self, stop):
            yield "news"
            while True:
                try:
                    stop.check()
                except StoppedError:
                    time.sleep(0.2)
                    self.note("checkpoint")
                    raise

    work = Dying(tmp_path)

    def run():
        for _ in run_jobs(work, ["dies", "lives"], stop, 2):
            work.note("the other is heard of")

    with pytest.raises(WorkerDiedError, match="a process of this run has died"):
        run()
    assert work.lines == ["the other is heard of", "checkpoint"]
    assert_no_children()


def test_a_system_without_processes_is_told_in_words(tmp_path, stop, monkeypatch):
    fork, calls = os.fork, []

    def scarce():
        calls.append(None)
        if len(calls) > 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", scarce)
    with pytest.raises(UserError, match=r"starts no 3 processes.*set \$OMP_NUM_THREADS"):
        list(run_jobs(Counting(tmp_path), [1, 2, 3], stop, 3))
    assert_no_children()


class Multiplying(Errands):
    """Large products, by as many threads as there are."""

    def run(self, job, stop):
        yield torch.get_num_threads(), float((torch.ones(400, 500) @ torch.ones(500, 400)).mean())


@pytest.fixture
def two_threads():
    """This process has used two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert float((torch.ones(400, 500) @ torch.ones(500, 400)).mean()) == 500
    yield
    torch.set_num_threads(before)


def test_two_threads_work_in_each_worker(tmp_path, stop, two_threads):
    """Also in forks of a process whose own threads have worked, of which a fork has no copy."""
    messages = list(run_jobs(Multiplying(tmp_path), [0, 1, 2], stop, workers=2, threads=2))
    assert messages == [(2, 500.0)] * 3


def test_a_task_that_comes_to_no_end_is_ended(monkeypatch):
    monkeypatch.setattr(worker, "LONGEST", 0.3)
    with pytest.raises(RuntimeError, match=r"^it came to no end in 0.005 minutes$"):
        in_a_fork(lambda: time.sleep(60))
    assert_no_children()


def fails():
    raise RuntimeError("no threads after a fork")


@pytest.mark.parametrize("test", [lambda: False, fails, lambda: os._exit(1)])
def test_no_fork_is_trusted_in_which_a_trial_fails(test):
    assert not holds_in_a_fork(test)
    assert_no_children()


def test_no_fork_is_trusted_in_which_a_trial_hangs(monkeypatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    assert not holds_in_a_fork(lambda: time.sleep(60) or True)
    assert_no_children()


def test_no_fork_is_trusted_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(worker, "Worker", lambda *arguments: pytest.fail("forked"))
    assert not holds_in_a_fork(lambda: True)
