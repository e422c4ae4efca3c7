"""Train networks on pairs of magneto-ionic devices: flags in, one readable run, files out."""

from __future__ import annotations

import sys

from utils.errors import UserError
from utils.parser import parse
from utils.settings import Run
from utils.stop import Stop, Stopped


def simulate(run: Run, stop: Stop) -> None:
    """Train every network of the run, write its files, and print what came out."""
    # Imported here, since torch takes seconds and a wrong flag should not have to wait for it.
    from utils.data.currents import Currents
    from utils.data.datasets import load
    from utils.hardware import choose_device
    from utils.records.folders import create_folders
    from utils.records.provenance import provenance
    from utils.records.results import Result, read_json, write_result
    from utils.report import row, table
    from utils.training.engine import Engine
    from utils.training.ensemble import Member
    from utils.training.group import train_group
    from utils.training.plan import groups_of, label_of, worth_compiling

    shared = run.settings[0]  # what all settings have in common
    device = choose_device(run.device, shared.tf32)
    data = load(shared.task, run.data_dir)
    currents = Currents.of(data, shared.padding, shared.input_scale, device)
    compiled = run.compile == "on" or (run.compile == "auto" and worth_compiling(shared, currents))
    engine = Engine(compiled)

    folders = dict(zip(run.settings, create_folders(run.output_dir, run.settings), strict=True))
    members = [Member(setting, model) for setting in run.settings for model in range(run.n_models)]

    def save(result: Result) -> None:
        write_result(folders[result.setting], result, provenance(device, engine.compiled))

    groups = groups_of(members, currents)
    for number, group in enumerate(groups, start=1):
        label = f"[{number}/{len(groups)}] {label_of(group)}"
        train_group(group, currents, engine, stop, label, save)

    print(
        table(
            [
                row(folder, [read_json(folder, model) for model in range(run.n_models)])
                for folder in folders.values()
            ]
        )
    )


def main(args: list[str] | None = None) -> int:
    stop = Stop().install()
    run = parse(args)
    try:
        simulate(run, stop)
    except UserError as error:
        print(f"main.py: error: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"main.py: stopped by {stopped}", file=sys.stderr)
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
