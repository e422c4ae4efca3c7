"""How every figure and table looks: colours, fonts, sizes, files. Nowhere else."""

from __future__ import annotations

import colorsys
import math
import time
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from string import ascii_lowercase
from typing import Any
from zlib import crc32

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.colors import to_hex, to_rgb

from devices.built_in import CURVED, LARGEST_NONLINEARITY
from utils.flags import flags_of
from utils.settings import Setting
from utils.studies import SAME_RANGE

# Name, colour and marker of a field. The colours are of Okabe and Ito's palette, told apart by
# colour-blind readers too; print in grey tells fields apart by the markers.
LOOKS = {
    "double-linear": ("linear", "#0072B2", "o"),
    "double-exponential": ("exponential", "#D55E00", "s"),
    "double-ideal": ("ideal", "#000000", "^"),
    SAME_RANGE.name: ("exponential (same range)", "#E69F00", "h"),
}
NAMES, COLOURS, MARKERS = ({field: look[k] for field, look in LOOKS.items()} for k in range(3))
# For devices of the user's own: the rest of it, and three of Paul Tol's muted colours.
OTHER_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288")
GOLDEN = 0.618  # of a turn between further hues, so that neighbours are far apart
MORE_COLOURS = [
    to_hex(colorsys.hsv_to_rgb(k * GOLDEN % 1, 0.75, 0.75 - 0.1 * (k % 4))) for k in range(100)
]
OTHER_MARKERS = ("D", "v", "P", "X", "<", ">", "p", "*", "d")
GREY = "#777777"
COLUMN, PAGE = 3.33, 7.0  # inches: one and two columns of a page of ACS journals
SMALL = 6.5  # points, of notes within a panel; nothing is smaller
FORMATS = ("pdf", "svg", "png")
# What journals ask for, free ones of the same widths, and what matplotlib brings along.
FONTS = "Helvetica", "Arial", "Liberation Sans", "TeX Gyre Heros", "Nimbus Sans", "DejaVu Sans"

RC = {
    "mathtext.default": "regular",
    "mathtext.fontset": "custom",
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8),
    **dict.fromkeys(("figure.titlesize", "figure.labelsize"), 8),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 7),
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
    # By their names: of a generic family only the first font is asked, whatever it lacks.
    family = fonts()
    shapes = dict.fromkeys(("rm", "cal", "sf", "tt"), "") | {"it": ":italic", "bf": ":bold"}
    mathtext = {f"mathtext.{name}": family[0] + s for name, s in shapes.items()}
    settings: dict[Any, Any] = RC | {"font.family": family} | mathtext
    mpl.rcParams.update(settings)
    for option in ("display.max_rows", "display.max_columns", "display.max_colwidth"):
        pd.set_option(option, None)


def fonts() -> list[str]:
    """Those that are installed, so that none is missed aloud; later ones have what others lack."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in FONTS if name in installed]


def colours(fields: Iterable[str]) -> dict[str, str]:
    """A colour for each field of a picture, no two alike.

    It follows from the name alone, unless two names of one picture ask for the same: then the later
    in the alphabet takes the next that is free. Curved devices have that of their nonlinearity.
    """
    taken, others = {}, []
    for field in dict.fromkeys(fields):
        if field in COLOURS:
            taken[field] = COLOURS[field]
        elif field.startswith(CURVED):
            share = float(field.removeprefix(CURVED)) / LARGEST_NONLINEARITY  # -1 to 1
            place = 0.45 + 0.45 * math.copysign(math.sqrt(abs(share)), share)  # small ones apart
            taken[field] = to_hex(mpl.colormaps["viridis"](place))
        else:
            others.append(field)
    n = len(OTHER_COLOURS)
    for field in sorted(others):
        start, used = crc32(field.encode()) % n, set(taken.values())
        palette = [*OTHER_COLOURS[start:], *OTHER_COLOURS[:start], *MORE_COLOURS]
        taken[field] = next(colour for colour in palette if colour not in used)
    return taken


def markers(fields: Iterable[str]) -> dict[str, str]:
    """A marker for each field of a picture; fields without one of their own take turns."""
    fields = list(dict.fromkeys(fields))
    others = sorted({*fields} - MARKERS.keys())
    shapes = MARKERS | dict(zip(others, cycle(OTHER_MARKERS), strict=False))
    return {field: shapes[field] for field in fields}


def looks(fields: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and label of each field of a picture, by their names in matplotlib."""
    shapes = markers(fields := list(fields))
    return {
        field: {"color": colour, "marker": shapes[field], "label": name(field)}
        for field, colour in colours(fields).items()
    }


def colour(field: str) -> str:
    """The colour of a field drawn alone."""
    return colours([field])[field]


def letter(panels: Iterable) -> None:
    """Name panels a, b, c, ... if there are several."""
    panels = list(panels)
    for axes, name in zip(panels, ascii_lowercase, strict=False):
        if len(panels) > 1:
            axes.set_title(name, loc="left", fontweight="bold")


def shade(colour: str, position: int, count: int) -> tuple[float, ...]:
    """The colour from pale (position 0) to full (the last of `count`)."""
    share = 0.3 + 0.7 * (position + 1) / count
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))


def name(field: str) -> str:
    """The name of a field in pictures and sentences."""
    if field.startswith(CURVED) and field not in NAMES:
        return f"ν = {float(field.removeprefix(CURVED)):g}"
    return NAMES.get(field, field)


def physics(networks: pd.DataFrame) -> str:
    """What the simulations of a figure have in common, as its title."""
    first, same = networks.iloc[0], networks.nunique()
    parts = [
        label(column, first[column])
        for column, (flag, _) in flags_of(Setting).items()
        if flag.label and same[column] == 1 and first[column] != flag.stored.omit_if
    ]
    return ", ".join([first["task"], *parts])


def label(name: str, value: object = None) -> str:
    """The words for a flag in pictures, with its value if given: `read noise 0.015`."""
    text = flags_of(Setting)[name][0].label or name
    if isinstance(value, (bool, np.bool_)):
        return text if value else f"no {text}"
    if value is None:
        return text
    return f"{text} {value:g}" if isinstance(value, float) else f"{text} {value}"


def new_folder(figures: Path) -> Path:
    """`<figures>/<YYYYmmddHHMMSS>/`, newly made."""
    while True:
        folder = figures / time.strftime("%Y%m%d%H%M%S")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            time.sleep(0.1)
