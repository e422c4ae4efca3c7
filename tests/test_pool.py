"""Jobs in one process and in several: messages, errors, stops, memory, and workers that die."""

import errno
import os
import signal
import sys
import time

import pytest
import torch
from support.fake_jobs import Counting, FakeJobs, assert_no_children

from utils.compute import worker
from utils.compute.pool import run_jobs
from utils.compute.processor import OutOfMemoryError
from utils.compute.signals import StoppedError
from utils.compute.worker import call_in_fork, holds_in_fork
from utils.errors import RecordError, UserError, WorkerDiedError


@pytest.fixture(autouse=True)
def no_process_is_left_over():
    yield
    assert_no_children()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_messages_come_and_those_of_a_job_in_order(workers, tmp_path, stop):
    """Those of one process in the order of the jobs."""
    jobs = [2, 1, 3, 5, 4]
    messages = list(run_jobs(Counting(tmp_path), jobs, stop, workers))
    expected = [(job, number) for job in jobs for number in range(job)]
    assert sorted(messages, key=lambda message: jobs.index(message[0])) == expected
    assert messages == expected or workers > 1


class Multiplying(FakeJobs):
    def run(self, job, stop):
        yield torch.get_num_threads(), float((torch.ones(400, 500) @ torch.ones(500, 400)).mean())


def test_workers_compute_with_threads_although_this_process_has_used_its_own(tmp_path, stop):
    """A fork has no copy of the threads."""
    torch.set_num_threads(2)
    assert float((torch.ones(400, 500) @ torch.ones(500, 400)).mean()) == 500
    messages = list(run_jobs(Multiplying(tmp_path), [0, 1, 2], stop, workers=2, threads=2))
    assert messages == [(2, 500.0)] * 3


class Failing(FakeJobs):
    def first(self, stop):
        self.wait_for("second at work")
        yield from ()
        raise UserError("the first")

    def second(self, stop):
        yield from ()
        self.note("second at work")
        try:
            self.train_until_stopped(stop)
        except StoppedError:
            raise RecordError("the second") from None

    def third(self, stop):
        self.note("third begun")
        yield from ()

    def full_disk(self, stop):
        yield from ()
        self.note(str(os.getpid()))
        while len(self.lines) < 2:
            time.sleep(0.002)
        raise RecordError("the disk is full")

    def mistake(self, stop):
        """An error that cannot be sent to another process."""
        yield from ()

        class LocalError(Exception):
            pass

        raise LocalError("a mistake")


def test_the_first_error_ends_the_run_and_a_later_one_is_logged(tmp_path, stop, capfd):
    work = Failing(tmp_path)
    with pytest.raises(UserError, match=r"^the first$"):
        list(run_jobs(work, ["first", "second", "third"], stop, 2))
    assert capfd.readouterr().err == "main.py: also: the second\n"
    assert work.lines == ["second at work", "checkpoint"]  # after an error no job begins


def test_the_same_error_of_all_workers_is_logged_once(tmp_path, stop, capfd):
    with pytest.raises(RecordError, match=r"^the disk is full$"):
        list(run_jobs(Failing(tmp_path), ["full_disk", "full_disk"], stop, 2))
    assert capfd.readouterr().err == ""


def test_a_mistake_in_a_worker_is_reported_with_its_place(tmp_path, stop):
    pattern = r"^a mistake\nin a worker process:\nTraceback(.|\n)*test_pool.py"
    with pytest.raises(RuntimeError, match=pattern):
        list(run_jobs(Failing(tmp_path), ["mistake"], stop, 2))


class Stopping(FakeJobs):
    def train(self, stop):
        yield "at work"
        self.train_until_stopped(stop)


def test_a_stop_lets_all_workers_finish_their_checkpoints(tmp_path, stop):
    work, messages = Stopping(tmp_path), []

    def run():
        for message in run_jobs(work, ["train"] * 3, stop, 2):
            messages.append(message)
            if len(messages) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="SIGTERM"):
        run()
    assert messages == ["at work"] * 2  # the third does not begin
    assert work.lines == ["checkpoint"] * 2


def test_an_idle_worker_that_is_killed_is_noticed_when_it_gets_a_job():
    idle = worker.Worker(lambda send, job: job)
    try:
        idle.call("a job")
        assert idle.result() == "a job"
        os.kill(idle.process.pid, signal.SIGKILL)
        idle.process.join()
        idle.call("another job")
        with pytest.raises(WorkerDiedError):
            idle.result()
    finally:
        idle.end()


def test_a_system_that_starts_too_few_processes(tmp_path, stop, monkeypatch):
    fork, calls = os.fork, []

    def scarce():
        calls.append(None)
        if len(calls) > 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", scarce)
    with pytest.raises(UserError, match=r"starts no 3 processes.*set \$OMP_NUM_THREADS"):
        list(run_jobs(Counting(tmp_path), [1, 2, 3], stop, 3))


class Halving(FakeJobs):
    """A job is a tuple; there is memory for two of its items at once."""

    def run(self, job, stop):
        yield "size", len(job)
        if len(job) > 2:
            torch.empty(1 << 60, dtype=torch.uint8)
        yield from job

    def divide(self, job):
        half = len(job) // 2
        return [job[:half], job[half:]]


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_too_large_for_the_memory_are_divided(workers, tmp_path, stop, capfd):
    messages = list(run_jobs(Halving(tmp_path), [(0, 1, 2, 3, 4, 5, 6), (7,)], stop, workers))
    sizes = [message[1] for message in messages if isinstance(message, tuple)]
    numbers = [message for message in messages if isinstance(message, int)]
    if workers == 1:
        assert sizes == [7, 3, 1, 2, 4, 2, 2, 1]
        assert numbers == list(range(8))
    assert sorted(sizes) == [1, 1, 2, 2, 2, 3, 4, 7]
    assert sorted(numbers) == list(range(8))
    assert capfd.readouterr().err == ""


class TooLarge(FakeJobs):
    """Jobs begin to need memory when all of them are at work."""

    def __init__(self, folder, jobs):
        super().__init__(folder)
        self.jobs = jobs

    def run(self, job, stop):
        yield from ()
        self.note(str(job))
        for other in range(self.jobs):
            self.wait_for(str(other))
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_single_job_too_large_for_the_memory(workers, tmp_path, stop, capfd):
    with pytest.raises(OutOfMemoryError):
        list(run_jobs(TooLarge(tmp_path, workers), range(workers), stop, workers))
    assert capfd.readouterr().err.splitlines() == [
        f"memory does not suffice for {n} at a time; going on with {n - 1}"
        for n in range(workers, 1, -1)
    ]


def test_a_task_in_a_fork_that_takes_too_long_is_ended():
    with pytest.raises(RuntimeError, match=r"^it did not end within 0.005 minutes$"):
        call_in_fork(lambda: time.sleep(60), timeout=0.3)


def fails():
    raise RuntimeError("no threads after a fork")


def hangs():
    time.sleep(60)
    return True


@pytest.mark.parametrize("trial", [lambda: False, fails, hangs, lambda: os._exit(1)])
def test_a_fork_in_which_a_trial_fails_is_not_trusted(trial, monkeypatch):
    if trial is hangs:
        monkeypatch.setattr(worker, "TRIAL_TIMEOUT_S", 0.2)
    assert not holds_in_fork(trial)


def test_a_fork_is_not_trusted_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(worker, "Worker", lambda *arguments: pytest.fail("forked"))
    assert not holds_in_fork(lambda: True)
