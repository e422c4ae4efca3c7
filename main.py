"""Train networks on pairs of magneto-ionic devices: flags in, one readable run, files out."""

from __future__ import annotations

import sys
from contextlib import suppress

from utils.compute.processor import OutOfMemoryError, share_cores
from utils.compute.signals import Stop, StoppedError, wait_for_rank_zero
from utils.console import log
from utils.errors import FailedOnOtherRankError, RecordError, UserError
from utils.parser import parse
from utils.run import Run

TOO_LARGE = (
    "a single network does not fit into memory; choose smaller --layers or a smaller "
    "--batch_size, or on a GPU --device cpu"
)


def simulate(run: Run, stop: Stop) -> None:
    """Train every network of the run, write its files, and print what came out."""
    share_cores()
    # Imported here, since torch takes seconds and a wrong flag should not have to wait for it.
    from models.currents import Currents
    from models.matmul import kernels
    from utils.compute.distributed import World
    from utils.compute.processor import choose_device, memory_errors
    from utils.data.datasets import load
    from utils.records.archive import Archive
    from utils.records.provenance import sitting
    from utils.records.summary import table
    from utils.training.dry_run import describe
    from utils.training.intermediate import add_missing
    from utils.training.plan import Plan
    from utils.training.startup_messages import measured, startup_messages
    from utils.training.train import train

    world = World()  # this process alone, or one of those that torchrun has started
    common = run.settings[0]  # for what is the same in all settings
    device = choose_device(run.device, common.tf32, world.local_rank)
    cores = world.take_cores()
    data = world.rank_zero_first(lambda: load(common.task, run.data_dir, common.padding))
    scale = common.input_scale
    with memory_errors():
        currents = Currents.from_arrays(
            data.arrays, data.n_classes, common.padding, scale, device, common.batch_size
        )
    plan = world.rank_zero_first(lambda: Plan(run, currents, cores, world.local_size))
    if world.is_first:
        for line in [*measured(run.settings), *startup_messages(run.settings, currents)]:
            log(line)
    if run.dry_run:
        describe(run, currents, plan, world, stop)
        return world.wait_for_all(stop)

    archive = None
    try:
        with stop.deferred():
            about = sitting(
                device,
                data.sha256,
                plan.compiled,
                plan.threads,
                currents.product,
                kernels(device),
                run.ledger_level,
            )
            archive, missing = Archive.open(run, data.sha256, world, about, plan.compiles)
        complete = [member for member in run.members if member in archive.complete]
        train(world.shard(missing), run, currents, plan, archive, stop, quiet=not world.is_first)
        if run.compute_intermediate:
            add_missing(world.shard(complete), currents, archive, stop)
        world.wait_for_all(stop)
    except StoppedError as stopped:
        if archive:
            stopped.saved = archive.saved(run.members, alone=world.size == 1)
        raise
    except (UserError, OutOfMemoryError):
        if archive and world.size == 1:
            archive.discard_empty()
        raise
    if world.is_first:
        with suppress(OSError):  # a full disk behind stdout; the results are safe in their files
            print(table(archive, run), flush=True)


def main(args: list[str] | None = None) -> int:
    try:
        stop = Stop().install()
        simulate(parse(args), stop)
    except UserError as error:
        wait_for_rank_zero()
        return end(2, f"error: {error}")
    except OutOfMemoryError:
        wait_for_rank_zero()
        return end(2, f"error: {TOO_LARGE}")
    except RecordError as error:
        return end(1, f"error: {error}")
    except FailedOnOtherRankError as elsewhere:
        wait_for_rank_zero()
        return elsewhere.exit_code
    except StoppedError as stopped:
        return end(stopped.exit_code, f"stopped by {stopped}; {stopped.saved}")
    return 0


def end(exit_code: int, message: str) -> int:
    """Say why the run ends; the exit code tells it even where nobody can read that."""
    log(f"main.py: {message}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
