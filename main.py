"""Train networks on pairs of magneto-ionic devices: flags in, one readable run, files out."""

from __future__ import annotations

import sys

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
    from utils.training.engine import Engine
    from utils.training.group import Trainer
    from utils.training.plan import groups_of, is_compiled, label_of
    from utils.world import World

    world = World()  # this process alone, or one of those that torchrun has started
    common = run.settings[0]  # for what is the same in all settings
    device = choose_device(run.device, world, common.tf32)
    data = world.first_then_all(lambda: load(common.task, run.data_dir))
    currents = Currents.of(data, common.padding, common.input_scale, device)
    engine = Engine(is_compiled(run, currents))
    if run.dry_run:
        return describe(run, currents, engine, world)

    archive = None
    try:
        with stop.deferred():
            archive, missing = Archive.open(run, data.sha256, world)
        trainer = Trainer(run, currents, engine, archive, stop, quiet=not world.is_first)
        groups = groups_of(world.share(missing), currents, archive.step_of)
        for number, group in enumerate(groups, start=1):
            trainer.train(group, f"[{number}/{len(groups)}] {label_of(group)}")
        world.wait_for_all(stop)
    except Stopped as stopped:
        if archive:
            stopped.saved = archive.saved(run.members)
        raise
    if world.is_first:
        print(table(archive, run))


def main(args: list[str] | None = None) -> int:
    stop = Stop().install()
    run = parse(args)
    try:
        simulate(run, stop)
    except UserError as error:
        print(f"main.py: error: {error}", file=sys.stderr)
        return 2
    except RecordError as error:
        print(f"main.py: error: {error}", file=sys.stderr)
        return 1
    except Elsewhere as elsewhere:
        return elsewhere.exit_code
    except Stopped as stopped:
        print(f"main.py: stopped by {stopped}; {stopped.saved}", file=sys.stderr)
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
