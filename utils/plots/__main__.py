"""Draw all figures without a notebook: `python -m utils.plots`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib

from utils.plots.study import Study
from utils.settings import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m utils.plots", description=__doc__)
    for name in ("simulations", "figures"):
        default = os.environ.get(f"MAGNETOIONIC_{name.upper()}", name)
        parser.add_argument(f"--{name}", type=Path, default=Path(default), metavar="DIR")
    parser.add_argument(
        "--task",
        choices=TASKS,
        default=os.environ.get("MAGNETOIONIC_TASK"),
        help="data set to draw (default: the one with most networks)",
    )
    flags = parser.parse_args()
    if not flags.simulations.is_dir():
        parser.error(f"--simulations {flags.simulations}: there is no such folder")
    matplotlib.use("Agg")

    study = Study(flags.simulations, flags.figures, flags.task)
    for problem in study.problems().itertuples(index=False):
        print(f"left out: {problem.folder}/{problem.file}: {problem.reason}")
    print(study.table().to_string(index=False))
    print(study.drawn())
    study.devices()
    for number in study.plans:
        study.accuracy(number)
    study.learning_curves()
    study.weights()
    print("\n".join(study.takeaways()))
    print(f"figures are in {study.folder}")


if __name__ == "__main__":
    main()
