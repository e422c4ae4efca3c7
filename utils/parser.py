"""The command line. Torch is not imported here, so that --help and errors appear at once."""

from __future__ import annotations

from typing import Any, NoReturn

from utils.compute.processor import check_device
from utils.compute.signals import wait_for_rank_zero
from utils.errors import UserError
from utils.flags import GROUPS, RUNNING, Once, Parser, add, flags_of
from utils.run import Run
from utils.settings import Setting
from utils.studies import COUNTING, EXTENDING, STUDIES, find_study
from utils.sweeps import sweep

DESCRIPTION = """\
Train networks whose weights are pairs of magneto-ionic devices, W = w2 - w1, and record how well
they learn. Flags marked [...] take one or more values: every combination is a setting, and one
command trains all settings and seeds.

example: python main.py --lr 500 1000 --field double-linear double-exponential --task Digits
"""
RETIRED = {  # messages for flags of the original scripts, which this project replaces
    "--scale": "is taken no more: the original scripts read it and did nothing with it, so that "
    "leaving it out is the same simulation; --input_scale sets the currents",
}
STUDY_LIST = "studies:\n" + "\n".join(f"  {s.name:12} {s.about}" for s in STUDIES.values())


class RunParser(Parser):
    """The parser of main.py; if several processes find the same error, process 0 logs it."""

    def error(self, message: str) -> NoReturn:
        wait_for_rank_zero()
        super().error(message)


def make_parser() -> RunParser:
    parser = RunParser("main.py", DESCRIPTION, STUDY_LIST, RETIRED)
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    groups[RUNNING].add_argument(
        "--study",
        action=Once,
        metavar="NAME",
        help="train the settings of a study, listed below; other flags override its values",
    )
    for table in (Setting, Run):
        for name, (flag, default) in flags_of(table).items():
            add(groups[flag.group], name, flag, default)
    return parser


def parse(args: list[str] | None = None) -> Run:
    """Return the run of the command line; exits with code 2 and one line on any error."""
    parser = make_parser()
    try:
        return run_of(vars(parser.parse_args(args)))
    except UserError as error:
        parser.error(str(error))


def run_of(given: dict[str, Any]) -> Run:
    """Make a run from the flags that were given, by name."""
    check_device(given.get("device", Run.device))
    of_setting, of_run = flags_of(Setting), flags_of(Run)
    chosen = {name: given[name] for name in of_setting if name in given}
    for name, values in chosen.items():
        flag = of_setting[name][0]
        if flag.is_list:
            chosen[name] = tuple(values)
        elif flag.type is bool and flag.sweeps:
            chosen[name] = [word == "on" for word in values] or [True]
    if "study" in given:
        settings = find_study(given["study"]).settings(chosen)
    else:
        settings = tuple(sweep(chosen))
    extends = "lr" not in given and given.get("study") in EXTENDING
    running = {name: given[name] for name in of_run if name in given}
    if given.get("study") in COUNTING:
        running["ledger"] = True
    return Run(settings=settings, extends_rates=extends, **running)
