"""One run of networks with different hidden layers: folders, compiling, and the same results.

Their jobs and memory: see test_plan.py.
"""

from dataclasses import replace

from conftest import assert_same_weights, setting_of

from utils.compute.compiler import Compiler
from utils.compute.pool import run_jobs
from utils.records.archive import Archive
from utils.records.folders import create_folders, matching_folders
from utils.records.session import Session
from utils.records.simulations import Simulations
from utils.settings import Member
from utils.studies import STUDIES
from utils.study import Study
from utils.training.job import JobRunner
from utils.training.plan import Job

LAYERS = ((24,), (48,), (24, 12))


def settings(**changes):
    return [setting_of(layers=layers, **changes) for layers in LAYERS]


def test_settings_of_one_name_have_folders_of_their_own(tmp_path):
    folders = create_folders(tmp_path, settings(), "0" * 64)
    assert len({folder.id for folder in folders}) == 3
    for folder, setting in zip(folders, settings(), strict=True):
        assert matching_folders(tmp_path, setting, "0" * 64) == [folder]


def test_each_job_is_compiled_or_not_as_planned(currents, tmp_path, stop):
    """And so its record says, and its checkpoints, beside others that are not."""
    tried = []

    class Told(Compiler):
        def __call__(self, module, *inputs):
            tried.append(module)
            return module(*inputs)

    small, large, _ = settings(epochs=1)
    folders = create_folders(tmp_path, [small, large], "0" * 64)
    sessions = {
        setting: Session({}, {"compiled": setting == large, "threads": 1})
        for setting in (small, large)
    }
    archive = Archive(dict(zip(sessions, folders, strict=True)), sessions)
    work = JobRunner(currents, Told(enabled=True), archive, 5.0)
    list(run_jobs(work, [Job((Member(small, 0),))], stop))
    assert not tried
    list(run_jobs(work, [Job((Member(large, 0),), compiled=True)], stop))
    assert tried
    for setting, compiled in ((small, False), (large, True)):
        member = Member(setting, 0)
        assert archive.record(member).content["compiled"] == compiled
        session = sessions[setting]
        assert session.differences([session]) == []
        other = replace(session, rounding={"compiled": not compiled, "threads": 1})
        assert session.differences([session, other]) == ["compiled"]


def test_a_study_of_layers_trains_each_as_it_is_alone(simulate, monkeypatch):
    sweeps = [{"layers": layers, "lr": (4000.0,)} for layers in ((8,), (16, 8))]
    monkeypatch.setitem(STUDIES, "width", Study("width", "", sweeps))
    both = {tuple(record.json["layers"]): record for record in simulate("--study width")}
    assert set(both) == {(8,), (16, 8)}
    header, *rows = simulate.table.splitlines()
    assert header.split()[5] == "layers"
    assert [row.split()[5:7] for row in rows] == [["8", "1"], ["16", "8"]]
    networks = Simulations.read(both[8,].folder.parent).networks
    assert set(networks["layers"]) == {(8,), (16, 8)}
    for layers, record in both.items():
        (alone,) = simulate(f"--lr 4000 --layers {' '.join(map(str, layers))}")
        assert alone.json["accuracy"] == record.json["accuracy"]
        assert_same_weights(alone, record)
