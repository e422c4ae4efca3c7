"""What a run would do: its settings, who trains what, memory, and time from a short probe."""

from __future__ import annotations

import time

import torch

from utils.data.currents import Currents
from utils.records.provenance import hardware
from utils.settings import Run
from utils.training.engine import Engine
from utils.training.evaluation import evaluate
from utils.training.plan import groups_of, memory_of, processes_for
from utils.training.share import ensembles_of
from utils.training.training import Training
from utils.world import World

PROBE_SECONDS = 1.0


def describe(run: Run, currents: Currents, engine: Engine, world: World) -> None:
    """Print it, in process 0; nothing is trained or written."""
    mine = world.share(run.members)  # process 0 has the largest share
    if not world.is_first:
        return
    processes = processes_for(mine, currents)
    groups = groups_of(mine, currents, lambda member: 0, processes)
    largest = max(groups, key=len)
    if processes > 1:
        torch.set_num_threads(1)
    turns = sum(-(-len(group) // processes) for group in groups)
    seconds = turns * seconds_per_network(largest, currents, engine)
    need = memory_of(largest[0].setting, currents, len(largest), processes)
    print(f"{len(run.settings)} settings x {run.n_models} networks on {world.size} processes:")
    for setting in run.settings:
        print(f"  {setting.slug}")
    print(
        f"process 0 trains {len(mine)} networks on {hardware(currents.train.device)}, up to "
        f"{len(largest)} at once{f' on {processes} cores' * (processes > 1)}, in about "
        f"{need / 2**20:.0f} MiB beside the data\n"
        f"about {duration(seconds)} of training, {'' if engine.compiled else 'not '}compiled, "
        "by a probe of a few steps"
    )


def seconds_per_network(group, currents: Currents, engine: Engine) -> float:
    """Expected seconds of training per network of a group, tests included, by trying."""
    part = ensembles_of(group, currents)[0]
    training = Training(part, currents, engine)
    training.prepare()
    setting = part[0].setting
    with torch.no_grad():
        training.take_step()  # not in the count: the first call of all is slow
        start, count = time.monotonic(), 0
        while count < training.steps.per_epoch and time.monotonic() - start < PROBE_SECONDS:
            training.take_step()
            synchronise(currents)
            count += 1
        step = (time.monotonic() - start) / count
        start = time.monotonic()
        evaluate(training.ensemble, currents, engine)
        synchronise(currents)
        test = time.monotonic() - start
    epochs = setting.epochs * (step * training.steps.per_epoch + test)
    return epochs / len(part)


def synchronise(currents: Currents) -> None:
    if currents.train.device.type == "cuda":
        torch.cuda.synchronize()


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
