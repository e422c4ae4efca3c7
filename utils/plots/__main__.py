"""Draw all figures from the results in `simulations`, and print what they show."""

from __future__ import annotations

import os
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from utils.errors import RecordError, UserError
from utils.flags import Parser, add, flags_of
from utils.plots.prices import FLAGS as PRICES
from utils.records.columns import series_columns
from utils.settings import Setting

ALONE = ("latest", "fields", "report")  # flags that draw one picture and nothing else


def make_parser() -> Parser:
    parser = Parser("python -m utils.plots", __doc__ or "")
    parser.add_argument(
        "--simulations", metavar="DIR", help="folder of the results (default: simulations)"
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        help="where a new folder with the pictures is made (default: figures)",
    )
    parser.add_argument("--table", metavar="FILE", help="write all results as CSV to this file")
    parser.add_argument(
        "--latest",
        action="store_true",
        help="draw only accuracy against epoch, for the latest run",
    )
    parser.add_argument(
        "--fields",
        nargs="+",
        metavar="NAME",
        help="draw only a comparison of these fields; give that of a file by its name",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="make one HTML file with all conclusions and pictures, to pass on; nothing else",
    )
    prices = parser.add_argument_group(
        "costs", "After runs with --ledger; for the last two, after runs with --wear."
    )
    for name, shown in PRICES.items():
        prices.add_argument(f"--{name}", **shown)
    filters = parser.add_argument_group(
        "filters",
        "Draw only networks with these values (default: those that most networks have). The "
        "defaults below are those of main.py.",
    )
    for name in series_columns():
        flag, _ = flags_of(Setting)[name]
        add(filters, name, flag, None)
        if flag.type is bool and not flag.sweeps:  # on or off, where those that most have are on
            filters.add_argument(
                f"--no_{name}", dest=name, action="store_false", default=SUPPRESS, help=SUPPRESS
            )
    return parser


def main() -> None:
    parser = make_parser()
    given = vars(parser.parse_args())
    filters = {name: given.pop(name) for name in series_columns() if name in given}
    for alone in ALONE:
        for other in ALONE if alone == "report" else (*ALONE, *PRICES):
            if alone in given and other in given and alone != other:
                parser.error(f"--{other}: leave out --{alone}")
    for name in ("simulations", "figures", *PRICES):
        if name in given:
            os.environ[f"MAGNETOIONIC_{name.upper()}"] = str(given[name])
    try:
        write(given, {name: filter_value(name, value) for name, value in filters.items()})
    except UserError as error:
        parser.error(str(error))
    except RecordError as error:
        parser.exit(1, f"{parser.prog}: error: {error}\n")


def filter_value(name: str, value: Any) -> Any:
    """The value, or a list of values, of a flag as it was parsed."""
    flag, _ = flags_of(Setting)[name]
    if flag.is_list:
        return tuple(value)
    if flag.type is bool and flag.sweeps:
        return [word == "on" for word in value] or [True]
    return value


def write(given: dict[str, Any], filters: dict[str, Any]) -> None:
    """What the flags ask for. given: flags by name; filters: see Networks."""
    import matplotlib  # as all that takes seconds, once the flags are known to be right

    matplotlib.use("Agg")
    from utils.plots.report import Report

    report = Report.from_environment(filters)
    if "table" in given:
        report.write_table(Path(given["table"]))
    if "report" in given:
        print(f"page: {report.write_page()}")
        return
    if "latest" in given:
        report.epochs()
    elif "fields" in given:
        report.compare(given["fields"])
    else:
        report.write()
    pictures = sorted(report.folder.glob("*.png"))
    print(f"figure: {pictures[0]}" if len(pictures) == 1 else f"figures are in {report.folder}")


if __name__ == "__main__":
    main()
