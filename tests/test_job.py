"""A job of several networks: too large for the memory, it is divided, and nothing trained twice."""

from collections import Counter

import pytest
import torch
from conftest import members_of, setting_of
from support.archives import archive_of

from utils.compute.compiler import Compiler
from utils.compute.pool import run_jobs
from utils.progress import Epoch
from utils.records.archive import Archive
from utils.records.folders import create_folders
from utils.training.job import Complete, JobRunner
from utils.training.plan import Job
from utils.training.trainer import Trainer


@pytest.fixture
def archive(tmp_path) -> Archive:
    """An archive with a new folder for one setting."""
    return archive_of(*create_folders(tmp_path / "out", [setting_of()], "sha"), compiled=False)


def run(archive, job, currents, stop) -> tuple[list, list]:
    """Trains a job; returns the sizes of what trained together, and who became complete when."""
    work = JobRunner(currents, Compiler(enabled=False), archive, 5.0)
    sizes, complete = [], []
    for news in run_jobs(work, [Job(tuple(job))], stop):
        if isinstance(news, Complete):
            archive.complete.add(news.member)
            complete.append(news.member)
        elif isinstance(news, Epoch) and news.number == 1:
            sizes.append(len(news.models))
    return sizes, complete


def memory_for(networks: int, monkeypatch) -> list[int]:
    """More than so many networks at once find no memory; returns the sizes that were tried."""
    tried, train = [], Trainer.train

    def fails(trainer, checkpoint_if_due):
        tried.append(len(trainer.members))
        if len(trainer.members) > networks:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from train(trainer, checkpoint_if_due)

    monkeypatch.setattr(Trainer, "train", fails)
    return tried


def test_out_of_memory_halves_the_job_and_goes_on(archive, currents, monkeypatch, stop):
    members = members_of(setting_of(), 7)
    tried = memory_for(2, monkeypatch)
    _, complete = run(archive, members, currents, stop)
    assert complete == members
    assert tried == [7, 3, 1, 2, 4, 2, 2]
    assert all(archive.is_complete(member) for member in members)


def test_networks_of_a_divided_job_are_those_of_an_undivided_one(
    archive, currents, monkeypatch, stop, tmp_path
):
    members = members_of(setting_of(), 3)
    divided = archive_of(*create_folders(tmp_path, [setting_of()], "sha"), compiled=False)
    assert run(archive, members, currents, stop) == ([3], members)
    memory_for(1, monkeypatch)
    assert run(divided, members, currents, stop) == ([1, 1, 1], members)
    for member in members:
        record, other = (written.record(member).content for written in (divided, archive))
        assert record["accuracy"] == other["accuracy"]
        assert record["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_what_is_complete_when_memory_is_used_up_is_not_trained_again(
    archive, currents, monkeypatch, stop
):
    """Writing fails at the third of five networks."""
    members, saves, save = members_of(setting_of(), 5), Counter(), Archive.save

    def fails(archive, result, earlier):
        saves[result.member] += 1
        if sum(saves.values()) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        save(archive, result, earlier)

    monkeypatch.setattr(Archive, "save", fails)
    sizes, complete = run(archive, members, currents, stop)
    assert sizes == [5, 1, 2]
    assert complete == members
    assert saves == {member: 1 + (member.model == 2) for member in members}
