"""A job of several networks: too large for the memory, it is divided, and nothing trained twice."""

from collections import Counter

import pytest
import torch
from conftest import members_of, setting_of

import main
from utils.compute.compiler import Compiler
from utils.compute.pool import run_jobs
from utils.progress import Epoch
from utils.records.archive import Archive
from utils.records.folders import create_folders
from utils.records.session import Session
from utils.training.job import Complete, JobRunner
from utils.training.plan import Job
from utils.training.trainer import Trainer

SESSION = Session({}, {"compiled": False})


@pytest.fixture
def archive_of(tmp_path):
    """Makes an archive with new folders."""

    def make(*settings, name="out") -> Archive:
        folders = create_folders(tmp_path / name, settings, "sha")
        return Archive(dict(zip(settings, folders, strict=True)), dict.fromkeys(settings, SESSION))

    return make


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


def test_out_of_memory_halves_the_job_and_goes_on(archive_of, currents, monkeypatch, stop):
    setting = setting_of()
    members = members_of(setting, 7)
    tried = memory_for(2, monkeypatch)
    archive = archive_of(setting)
    _, complete = run(archive, members, currents, stop)
    assert complete == members
    assert tried == [7, 3, 1, 2, 4, 2, 2]
    assert all(archive.is_complete(member) for member in members)


def test_networks_of_a_divided_job_are_those_of_an_undivided_one(
    archive_of, currents, monkeypatch, stop
):
    setting = setting_of()
    members = members_of(setting, 3)
    whole, divided = archive_of(setting), archive_of(setting, name="divided")
    assert run(whole, members, currents, stop) == ([3], members)
    memory_for(1, monkeypatch)
    assert run(divided, members, currents, stop) == ([1, 1, 1], members)
    for member in members:
        record, other = (one.record(member).content for one in (divided, whole))
        assert record["accuracy"] == other["accuracy"]
        assert record["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_what_is_complete_when_memory_is_used_up_is_not_trained_again(
    archive_of, currents, monkeypatch, stop
):
    """Writing fails at the third of five networks."""
    setting = setting_of()
    members, saves, save = members_of(setting, 5), Counter(), Archive.save

    def fails(archive, result, earlier):
        saves[result.member] += 1
        if sum(saves.values()) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        save(archive, result, earlier)

    monkeypatch.setattr(Archive, "save", fails)
    archive = archive_of(setting)
    sizes, complete = run(archive, members, currents, stop)
    assert sizes == [5, 1, 2]
    assert complete == members
    assert saves == {member: 1 + (member.model == 2) for member in members}


def test_a_network_too_large_for_the_gpu_is_a_users_error(tmp_path, monkeypatch, capsys, stop):
    memory_for(0, monkeypatch)
    words = "--task Digits --layers 8 --epochs 1 --n_models 1 --device cpu --output_dir".split()
    assert main.main([*words, str(tmp_path)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("main.py: error: a single network does not fit into memory; choose ")
    assert "--device cpu" in last
