"""How every figure and table looks: colours, fonts, sizes, files. Nowhere else."""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers too; a field has one colour only.
COLOURS = {"double-linear": "#0072B2", "double-exponential": "#D55E00"}
NAMES = {"double-linear": "linear", "double-exponential": "exponential"}
OTHER_COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # for devices still to come
GREY = "#777777"
COLUMN, PAGE = 3.5, 7.2  # inches: one and two columns of a printed page
FORMATS = ("pdf", "svg", "png")

RC = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
}


def use() -> None:
    """Draw figures in this style from now on, and show tables whole."""
    mpl.rcParams.update(RC)
    for option in ("display.max_rows", "display.max_columns", "display.max_colwidth"):
        pd.set_option(option, None)


def colour(field: str) -> str:
    if field in COLOURS:
        return COLOURS[field]
    return OTHER_COLOURS[sum(map(ord, field)) % len(OTHER_COLOURS)]


def name(field: str) -> str:
    return NAMES.get(field, field)


def physics(networks: pd.DataFrame) -> str:
    """What the simulations of a figure have in common, as its title."""
    one, names = networks.iloc[0], ("variability", "read noise", "smallest pulse")
    parts = [
        f"{name} {one[column]:g}"
        for name, column in zip(names, ("var", "resistor_noise", "clipping"), strict=True)
        if networks[column].nunique() == 1
    ]
    return ", ".join([one["task"], *parts])


def new_folder(figures: Path) -> Path:
    """`<figures>/<YYYYmmddHHMMSS>/`, newly made."""
    while True:
        folder = figures / time.strftime("%Y%m%d%H%M%S")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            time.sleep(0.1)


def save(figure: Figure, folder: Path, stem: str) -> None:
    """Write a figure as PDF, SVG and PNG."""
    for ending in FORMATS:
        figure.savefig(folder / f"{stem}.{ending}")
