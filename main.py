"""Train networks on pairs of magneto-ionic devices: flags in, one readable run, files out."""

from __future__ import annotations

import sys
from contextlib import suppress

from utils.errors import Elsewhere, RecordError, UserError
from utils.parser import parse
from utils.settings import Run
from utils.stop import Stop, Stopped


def simulate(run: Run, stop: Stop) -> None:
    """Train every network of the run, write its files, and print what came out."""
    # Imported here, since torch takes seconds and a wrong flag should not have to wait for it.
    from utils.data.currents import Currents
    from utils.data.datasets import load
    from utils.dry_run import describe
    from utils.hardware import choose_device
    from utils.records.archive import Archive
    from utils.report import table
    from utils.training import plan
    from utils.training.crew import Crew
    from utils.training.engine import Engine
    from utils.training.group import Trainer
    from utils.world import World

    world = World()  # this process alone, or one of those that torchrun has started
    common = run.settings[0]  # for what is the same in all settings
    device = choose_device(run.device, world, common.tf32)
    data = world.first_then_all(lambda: load(common.task, run.data_dir))
    currents = Currents.of(data, common.padding, common.input_scale, device)
    engine = Engine(plan.is_compiled(run, currents))
    # An error, if not even one network fits into memory, before there are folders.
    world.first_then_all(lambda: plan.networks_at_once(common, currents))
    if run.dry_run:
        return describe(run, currents, engine, world)

    archive = None
    try:
        with stop.deferred():
            archive, missing = Archive.open(run, data.sha256, world)
        mine = world.share(missing)
        processes = plan.processes_for(mine, currents)
        groups = plan.groups_of(mine, currents, archive.step_of, processes)
        with Crew(processes, currents, engine, archive) as crew:
            trainer = Trainer(run, crew, archive, stop, quiet=not world.is_first)
            for number, group in enumerate(groups, start=1):
                trainer.train(group, f"[{number}/{len(groups)}] {plan.label_of(group)}")
        world.wait_for_all(stop)
    except Stopped as stopped:
        if archive:
            stopped.saved = archive.saved(run.members, alone=world.size == 1)
        raise
    if world.is_first:
        with suppress(OSError):  # a full disk behind stdout; the results are safe in their files
            print(table(archive, run), flush=True)


def main(args: list[str] | None = None) -> int:
    try:
        stop = Stop().install()
        simulate(parse(args), stop)
    except UserError as error:
        return end(2, f"error: {error}")
    except RecordError as error:
        return end(1, f"error: {error}")
    except Elsewhere as elsewhere:
        return elsewhere.exit_code
    except Stopped as stopped:
        return end(stopped.exit_code, f"stopped by {stopped}; {stopped.saved}")
    return 0


def end(exit_code: int, message: str) -> int:
    """Say why the run ends; the exit code tells it even where nobody can read that."""
    with suppress(OSError):
        print(f"main.py: {message}", file=sys.stderr, flush=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
