"""Train networks on pairs of magneto-ionic devices: flags in, one readable run, files out."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace

from utils.compute.processor import OutOfMemoryError, share_cores
from utils.compute.signals import (
    NOTHING_TRAINED,
    Stop,
    StoppedError,
    is_rank_zero,
    wait_for_rank_zero,
)
from utils.console import log
from utils.errors import FailedOnOtherRankError, RecordError, UserError, WorkerDiedError
from utils.parser import parse
from utils.run import Run
from utils.settings import Setting
from utils.studies import MAX_EXTENSIONS, beyond_edges

TOO_LARGE = (
    "a single network does not fit into memory; choose smaller --layers or a smaller "
    "--batch_size, or on a GPU --device cpu"
)


def simulate(run: Run, stop: Stop) -> dict[Setting, float]:
    """Train every network of the run, write its files, and print the results.

    Returns the mean accuracy of each setting (%), of a run in one process without --dry_run.
    """
    share_cores()
    # Imported here, since torch takes seconds and a wrong flag should not have to wait for it.
    from models.currents import Currents
    from utils.compute.compiler import Compiler
    from utils.compute.distributed import World
    from utils.compute.processor import choose_device, memory_errors
    from utils.data.datasets import load
    from utils.records.opening import fullest, newest, open_archive
    from utils.records.summary import discard_empty, mean_accuracies, stop_message, table
    from utils.training.dry_run import describe
    from utils.training.intermediate import add_missing
    from utils.training.job import JobRunner
    from utils.training.kernels import load_kernels_of
    from utils.training.machine import examine, sizes_of, try_threads
    from utils.training.plan import Plan
    from utils.training.sessions import sessions_of
    from utils.training.startup_messages import measured_values, startup_messages
    from utils.training.train import train

    world = World()  # this process alone, or one of those that torchrun has started
    common = run.settings[0]  # its data set, padding, input scale, batch size and TF32 are all's
    device = choose_device(run.device, common.tf32, world.local_rank)
    cores = world.take_cores()
    data = world.rank_zero_first(lambda: load(common.task, run.data_dir, common.padding))
    world.rank_zero_first(lambda: load_kernels_of(run.settings, device))
    scale = common.input_scale
    with memory_errors():
        currents = Currents.from_arrays(
            data.arrays, data.n_classes, common.padding, scale, device, common.batch_size
        )
    sizes, machine = sizes_of(currents), examine(currents, cores, world.local_size)
    plan = world.rank_zero_first(
        lambda: Plan(run.settings, sizes, machine, run.compile, run.ledger_level)
    )
    plan = replace(plan, machine=try_threads(machine, currents, run.settings))
    if world.is_first:
        for line in [*measured_values(run.settings), *startup_messages(run.settings, currents)]:
            log(line)
    if run.dry_run:
        describe(plan, run.tasks, currents, world, stop)
        world.wait_for_all(stop)
        return {}

    archive = None
    try:
        with stop.deferred():
            sessions = sessions_of(plan, currents, data.sha256)
            choose = fullest if run.resume else newest if world.restarts else None
            archive, tasks = open_archive(
                run.output_dir, run.members, sessions, data.sha256, choose, world.broadcast
            )
        complete = [member for member in run.members if member in archive.complete]
        compiler = Compiler(plan.compiled)
        work = JobRunner(
            currents, compiler, archive, run.checkpoint_minutes, run.compute_intermediate
        )
        train(world.shard(tasks), plan, work, stop, quiet=not world.is_first)
        if run.compute_intermediate:
            add_missing(world.shard(complete), currents, archive, stop)
        world.wait_for_all(stop)
    except StoppedError as stopped:
        if archive:
            stopped.saved = stop_message(archive, run.members, is_alone=world.size == 1)
        raise
    except (UserError, OutOfMemoryError):
        if archive and world.size == 1:
            discard_empty(archive)
        raise
    if world.is_first:
        with suppress(OSError):  # a full disk behind stdout; the results are safe in their files
            print(table(archive, run.n_models), flush=True)
    return mean_accuracies(archive, run.n_models) if world.size == 1 else {}


def main(args: list[str] | None = None) -> int:
    try:
        stop = Stop().install()
        run = parse(args)
        accuracies = simulate(run, stop)
        for _ in range(MAX_EXTENSIONS if run.extends_rates else 0):
            if more := beyond_edges(accuracies):
                rates = ", ".join(f"{setting.field} {setting.lr:g}" for setting in more)
                log(f"best at the edge of the learning rates tried, so these are added: {rates}")
                accuracies |= simulate(replace(run, settings=more), stop)
    except UserError as error:
        wait_for_rank_zero()
        return end(2, f"error: {error}")
    except OutOfMemoryError:
        wait_for_rank_zero()
        return end(2, f"error: {TOO_LARGE}")
    except (RecordError, WorkerDiedError) as error:
        return end(1, f"error: {error}")
    except FailedOnOtherRankError as elsewhere:
        wait_for_rank_zero()
        return elsewhere.exit_code
    except StoppedError as stopped:
        if stopped.saved == NOTHING_TRAINED and not is_rank_zero():
            return stopped.exit_code  # process 0 logs why all end
        return end(stopped.exit_code, f"stopped by {stopped}; {stopped.saved}")
    return 0


def end(exit_code: int, message: str) -> int:
    """Log why the run ends, and return the exit code."""
    log(f"main.py: {message}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
