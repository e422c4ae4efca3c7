"""The command line. Torch is not imported here, so that an answer comes at once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from utils.compute.signals import wait_for_rank_zero
from utils.errors import UserError
from utils.flags import NETWORK, PHYSICAL, RUNNING, TRAINING, Flag, flags_of
from utils.run import Run, sweep
from utils.settings import Setting
from utils.studies import STUDIES, find_study

DESCRIPTION = """\
Train networks whose weights are pairs of magneto-ionic devices, W = w2 - w1, and record how well
they learn. Flags marked [...] take one or more values: every combination is a setting, and one
command trains all settings and seeds.

example: python main.py --lr 500 1000 --field double-linear double-exponential --task Digits
"""
RETIRED = {  # flags of the scripts that this project replaces, and what to say to them
    "--scale": "is taken no more: the original scripts read it and did nothing with it, so that "
    "leaving it out is the same simulation; --input_scale sets the currents",
}
STUDY_LIST = "studies:\n" + "\n".join(f"  {s.name:12} {s.about}" for s in STUDIES.values())


class Once(argparse.Action):
    """Stores a flag's value; refuses a second one, which would silently win over the first."""

    def __call__(self, parser, namespace, values, option_string=None):
        if hasattr(namespace, self.dest):
            parser.error(f"{option_string}: given twice; give it once, with all its values")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, and the flag that was meant for one mistyped."""

    def __init__(
        self,
        prog: str,
        description: str,
        epilog: str | None = None,
        retired: Mapping[str, str] | None = None,
    ):
        """retired: what to say to flags that are taken no more."""
        self.retired = retired or {}
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )

    def error(self, message: str) -> NoReturn:
        wait_for_rank_zero()
        self.exit(2, f"{self.prog}: error: {message}\n")

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        parsed, unknown = self.parse_known_args(args, namespace)
        flags = [word for word in unknown if word.startswith("-")]
        if flags:
            self.error(self.hint(flags[0].split("=")[0]))
        if unknown:
            self.error(f"unexpected '{unknown[0]}': a value needs its flag before it; see --help")
        return parsed

    def hint(self, flag: str) -> str:
        """What to say to a flag that does not exist."""
        if flag in self.retired:
            return f"{flag} {self.retired[flag]}"
        known = [option for option in self._option_string_actions if option.startswith("--")]
        meant = flag.lower().lstrip("-").replace("-", "_")
        close = [k for k in known if meant and k.startswith(f"--{meant}")]
        close += get_close_matches(f"--{meant}", known, n=1, cutoff=0.7)
        return f"unknown flag {flag}; " + (f"did you mean {close[0]}?" if close else "see --help")


def make_parser() -> Parser:
    parser = Parser("main.py", DESCRIPTION, STUDY_LIST, RETIRED)
    groups = {
        name: parser.add_argument_group(name) for name in (PHYSICAL, NETWORK, TRAINING, RUNNING)
    }
    groups[RUNNING].add_argument(
        "--study",
        action=Once,
        metavar="NAME",
        help="train the settings of a study, listed below; other flags win over its values",
    )
    for kind in (Setting, Run):
        for name, (each, default) in flags_of(kind).items():
            add(groups[each.group], name, each, default)
    return parser


def add(group, name: str, flag: Flag, default: Any) -> None:
    """A flag of the table as an argument."""
    text = flag.help.replace("%", "%%")  # which argparse formats
    if flag.kind is bool and not flag.sweeps:
        group.add_argument(f"--{name}", action="store_true", help=text)
        return
    if flag.kind is bool:  # alone it is on
        group.add_argument(
            f"--{name}",
            action=Once,
            choices=("on", "off"),
            nargs="*",
            help=f"[...] {text} (default: {'on' if default else 'off'})",
        )
        return
    if default is None or default == ():
        shown = ""  # its help tells what it is otherwise
    else:
        words = default if flag.is_list else (default,)
        shown = f" (default: {' '.join(map(str, words))})"
    group.add_argument(
        f"--{name}",
        action=Once,
        type=flag.kind,
        nargs="+" if flag.is_list or flag.sweeps else None,
        metavar=flag.metavar or {float: "X", int: "N"}[flag.kind],
        help=("[...] " if flag.sweeps else "") + text + shown,
    )


def parse(args: list[str] | None = None) -> Run:
    """The run that the command line asks for; exits with code 2 and one line on any mistake."""
    parser = make_parser()
    try:
        return run_of(vars(parser.parse_args(args)))
    except UserError as error:
        parser.error(str(error))


def run_of(given: dict[str, Any]) -> Run:
    """From flags as they were given, by name."""
    of_setting, of_run = flags_of(Setting), flags_of(Run)
    chosen = {name: given[name] for name in of_setting if name in given}
    for name, values in chosen.items():
        flag = of_setting[name][0]
        if flag.is_list:
            chosen[name] = tuple(values)
        elif flag.kind is bool and flag.sweeps:
            chosen[name] = [word == "on" for word in values] or [True]
    if "study" in given:
        settings = find_study(given["study"]).settings(chosen)
    else:
        settings = tuple(sweep(chosen))
    return Run(settings=settings, **{name: given[name] for name in of_run if name in given})
