"""What a referee looks at: fonts, colours, grey prints, axes that show the differences."""

import matplotlib
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from utils.plots import style
from utils.plots.panels import leave_out_outliers

matplotlib.use("Agg")


def test_only_fonts_that_are_there_are_asked_for(monkeypatch):
    class Font:
        def __init__(self, name):
            self.name = name

    there = [Font("DejaVu Sans"), Font("Liberation Sans"), Font("Comic")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", there)
    assert style.fonts() == ["Liberation Sans", "DejaVu Sans"]


def test_what_the_first_font_lacks_is_taken_from_another(monkeypatch, recwarn, caplog):
    """DejaVu Sans Mono stands for one of a journal; it has no 𝟚."""
    monkeypatch.setattr(style, "FONTS", ("No Such Font", "DejaVu Sans Mono", "DejaVu Sans"))
    with matplotlib.rc_context():
        style.use()
        assert matplotlib.rcParams["font.family"] == ["DejaVu Sans Mono", "DejaVu Sans"]
        figure = plt.figure()
        figure.suptitle("ν ↓ − 𝟚")
        figure.supxlabel("σ$_\\mathrm{device}$ 10$^{-3}$")
        figure.canvas.draw()
    assert not recwarn.list
    assert not caplog.records


def test_colours_and_markers_are_of_a_name_and_never_alike():
    """There are more than anybody has devices."""
    built_in = ["double-linear", "double-exponential", "double-ideal"]
    names = [f"device-{k}" for k in range(60)]
    colours = style.colours([*built_in, *names])
    assert len(set(colours.values())) == 63
    assert {name: colours[name] for name in built_in}.items() <= style.COLOURS.items()
    assert to_hex(colours["double-ideal"]) == "#000000"
    assert style.colours(reversed([*names, *built_in])) == colours  # whatever the order
    assert style.colour("my-device") == style.colours([*built_in, "my-device"])["my-device"]
    curved = style.colours(f"double-curved-{nu}.0" for nu in range(-10, 11))
    assert len(set(curved.values())) == 21
    markers = style.markers([*built_in, *names[:9]])
    assert len(set(markers.values())) == 12
    assert markers["double-linear"] == "o"


def points(*means: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"mean": means, "std": 0.5, "size": 3}, [float(k) for k in range(len(means))]
    )


def test_what_lies_far_below_is_written_and_not_on_the_axis():
    """What is near lies within 97 to 94; the gap below it, of 44, is wider than these 3."""
    axes = plt.figure().add_subplot()
    leave_out_outliers([(axes, points(50.0, 94.0, 95.0, 96.0, 96.0, 97.0, 97.0), "k")])
    low, high = axes.get_ylim()
    assert low == pytest.approx(93.5 - 2 * 0.06 * 3.5)
    assert high == pytest.approx(97 + 0.06 * 3.5)
    assert [text.get_text() for text in axes.texts] == ["↓ 50"]
    assert axes.texts[0].xy == (0.0, 0)


@pytest.mark.parametrize(
    "means",
    [
        (96.0, 96.0, 95.0, 94.0, 92.0, 90.0, 88.5),  # as figure 1 has it: no gap is wide enough
        (70.0, 75.0, 80.0, 85.0, 90.0, 95.0),  # which falls evenly
    ],
)
def test_nothing_is_left_out_of_a_curve_without_a_wide_gap(means):
    axes = plt.figure().add_subplot()
    leave_out_outliers([(axes, points(*means), "k")])
    assert not axes.texts
    assert axes.get_autoscaley_on()
