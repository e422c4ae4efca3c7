"""Jobs by one process and by several: what comes back, and in which order things happen."""

import os
import signal
import time

import pytest
import torch
from support.errands import Counting, Errands, assert_no_children

from utils.compute.pool import run_jobs
from utils.compute.processor import OutOfMemoryError
from utils.compute.signals import StoppedError
from utils.errors import RecordError, UserError


def test_messages_of_one_process_come_in_the_order_of_the_jobs(tmp_path, stop):
    messages = list(run_jobs(Counting(tmp_path), [2, 1, 3], stop))
    assert messages == [(2, 0), (2, 1), (1, 0), (3, 0), (3, 1), (3, 2)]


@pytest.mark.parametrize("workers", [2, 5])
def test_messages_of_workers_all_come_those_of_a_job_in_order(workers, tmp_path, stop):
    jobs = [2, 1, 3, 5, 4]
    messages = list(run_jobs(Counting(tmp_path), jobs, stop, workers))
    assert sorted(messages) == [(job, number) for job in range(1, 6) for number in range(job)]
    for job in jobs:
        assert [number for name, number in messages if name == job] == list(range(job))
    assert_no_children()


def test_a_later_error_of_another_worker_is_told(tmp_path, stop, capfd):
    class Failing(Errands):
        def first(self, stop):
            self.wait_for("second at work")
            yield from ()
            raise UserError("the first")

        def second(self, stop):
            yield from ()
            self.note("second at work")
            while True:
                try:
                    stop.check()
                except StoppedError:
                    raise RecordError("the second") from None

        def third(self, stop):
            self.note("third begun")
            yield from ()

    work = Failing(tmp_path)
    with pytest.raises(UserError, match=r"^the first$"):
        list(run_jobs(work, ["first", "second", "third"], stop, 2))
    assert capfd.readouterr().err == "main.py: also: the second\n"
    assert "third begun" not in work.lines  # after an error no job is begun
    assert_no_children()


def test_the_same_error_of_all_workers_is_told_once(tmp_path, stop, capfd):
    class Failing(Errands):
        def run(self, job, stop):
            yield from ()
            self.note(job)
            for other in ("a", "b"):
                self.wait_for(other)
            raise RecordError("the disk is full")

    with pytest.raises(RecordError, match=r"^the disk is full$"):
        list(run_jobs(Failing(tmp_path), ["a", "b"], stop, 2))
    assert capfd.readouterr().err == ""


class Patient(Errands):
    """Every job goes on until it is stopped, and leaves a checkpoint then, which takes a while."""

    def run(self, job, stop):
        yield job
        while True:
            try:
                stop.check()
            except StoppedError:
                time.sleep(0.3)
                self.note(f"checkpoint of {job}")
                raise


def test_a_stop_lets_all_workers_finish_their_checkpoints(tmp_path, stop):
    work, at_work = Patient(tmp_path), []

    def run():
        for job in run_jobs(work, ["a", "b", "c"], stop, 2):
            at_work.append(job)
            if len(at_work) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="SIGTERM"):
        run()
    assert sorted(at_work) == ["a", "b"]  # the third is not begun
    assert sorted(work.lines) == ["checkpoint of a", "checkpoint of b"]
    assert_no_children()


class Halving(Errands):
    """A job is a tuple, of which two are done at once; for more there is no memory."""

    def run(self, job, stop):
        yield "size", len(job)
        if len(job) > 2:
            torch.empty(1 << 60, dtype=torch.uint8)
        yield from job

    def divide(self, job):
        half = len(job) // 2
        return [job[:half], job[half:]]


def test_jobs_too_large_for_the_memory_are_divided(tmp_path, stop):
    messages = list(run_jobs(Halving(tmp_path), [(0, 1, 2, 3, 4, 5, 6), (7,)], stop))
    sizes = [message[1] for message in messages if isinstance(message, tuple)]
    assert sizes == [7, 3, 1, 2, 4, 2, 2, 1]
    assert [message for message in messages if isinstance(message, int)] == list(range(8))


def test_jobs_of_workers_are_divided_too(tmp_path, stop, capfd):
    messages = list(run_jobs(Halving(tmp_path), [(0, 1, 2, 3, 4, 5, 6), (7,)], stop, 2))
    assert sorted(message for message in messages if isinstance(message, int)) == list(range(8))
    sizes = sorted(message[1] for message in messages if isinstance(message, tuple))
    assert sizes == [1, 1, 2, 2, 2, 3, 4, 7]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", [1, 3])
def test_a_single_job_too_large_for_the_memory(workers, tmp_path, stop, capfd):
    class TooLarge(Errands):
        def run(self, job, stop):
            yield from ()
            self.note(str(job))
            for other in range(workers):
                self.wait_for(str(other))
            torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(OutOfMemoryError):
        list(run_jobs(TooLarge(tmp_path), range(workers), stop, workers))
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        f"memory does not suffice for {n} at a time; going on with {n - 1}"
        for n in range(workers, 1, -1)
    ]
    assert_no_children()
