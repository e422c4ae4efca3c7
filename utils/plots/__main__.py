"""Draw all figures without a notebook: `python -m utils.plots`."""

from __future__ import annotations

import argparse
import os

import matplotlib

from utils.errors import UserError
from utils.plots.report import Report
from utils.plots.sections import SECTIONS

PRICES = {
    "pulse_energy": ("J", "energy of a pulse, for the table of costs"),
    "refresh_energy": ("J", "energy of the refresh of a pair"),
    "pulse_time": ("S", "duration of a pulse, seconds"),
    "endurance": ("N", "pulses that a device endures; needs runs with --wear"),
    "refresh_endurance": ("N", "refreshes that a device endures; needs runs with --wear"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m utils.plots", description=__doc__)
    parser.add_argument("--simulations", metavar="DIR", help="folder of the simulations")
    parser.add_argument("--figures", metavar="DIR", help="where a folder of figures is made")
    parser.add_argument("--task", help="data set to draw (default: the one with most networks)")
    parser.add_argument(
        "--latest",
        action="store_true",
        help="draw accuracy against epoch for the networks of the latest run, nothing else",
    )
    parser.add_argument(
        "--fields",
        nargs="+",
        metavar="NAME",
        help="compare these fields in one picture, nothing else; devices of files by their names",
    )
    for name, (unit, text) in PRICES.items():
        parser.add_argument(f"--{name}", metavar=unit, help=text)
    flags = parser.parse_args()
    if flags.latest and flags.fields:
        parser.exit(2, f"{parser.prog}: error: --fields: leave out --latest, or the other way\n")
    for name in PRICES if flags.latest or flags.fields else ():
        if getattr(flags, name) is not None:
            other = "--latest" if flags.latest else "--fields"
            parser.exit(2, f"{parser.prog}: error: --{name}: leave out {other}\n")
    for name in ("simulations", "figures", "task", *PRICES):
        if (value := getattr(flags, name)) is not None:
            os.environ[f"MAGNETOIONIC_{name.upper()}"] = value
    matplotlib.use("Agg")
    try:
        report = Report.from_environment()
        if flags.latest:
            report.epochs()
        elif flags.fields:
            report.compare(flags.fields)
        else:
            write(report)
    except UserError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    pictures = sorted(report.folder.glob("*.png"))
    print(f"figure: {pictures[0]}" if len(pictures) == 1 else f"figures are in {report.folder}")


def write(report: Report) -> None:
    """Every section, with what is left out and what is missing, and what they say."""
    for problem in report.problems().itertuples(index=False):
        print(f"left out: {problem.folder}/{problem.file}: {problem.reason}")
    print(report.settings().to_string(index=False))
    print(report.networks.describe())
    for name in SECTIONS:
        report.show(name)
    print(report.costs().to_string(index=False))
    print("\n".join(report.conclusions()))


if __name__ == "__main__":
    main()
