"""Small simulations for all figures, which are made once, and the content of their files."""

import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from support import untrained_runs
from support.launched import start_with
from support.legacy_runs import write_legacy_folder
from support.session_cache import session_cache
from utils.plots import style
from utils.plots.networks import Networks
from utils.plots.report import Report
from utils.records.simulations import Simulations

matplotlib.use("Agg")
RATES = (500.0, 3000.0)
EPOCHS, N_MODELS = 4, 3
BROKEN = "double-exponential-4000.0-var-0.2"  # a copy of 3000.0 with files damaged and missing
SMALL = f"--task Digits --layers 16 --epochs {EPOCHS} --n_models {N_MODELS} --device cpu --ledger"
FIELDS = "--field double-linear double-exponential --lr 500 3000"
PAPERS = "var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"
RUNS = (
    f"{FIELDS} --var 0.2 --resistor_noise 0.015 --clipping 0.1",
    "--var 0 --epochs 1 --n_models 1 --lr 777",  # of another length
)
CLIPPINGS = (0.0, 0.1, 0.2, 0.5)  # of figures 2 and 3
KEYS = ("accuracy", "swap_accuracy")
LEGACY = dict(task="Digits", layers=[16], epochs=EPOCHS)  # of legacy_runs.py, in RUNS' series
STEMS = {
    "ablation",  # a part of which is in figures 1 to 3
    "costs",
    "devices",
    "figure1-accuracy-against-learning-rate",
    "figure2-accuracy-against-learning-rate",
    "figure3-accuracy-against-learning-rate",
    "learning-curves",
    "weights",
}  # of the pictures that RUNS and LEGACY are enough for
FIGURE_1 = dict(field="double-linear", lr=500.0, var=0.2, epochs=EPOCHS)  # a row of the table


@pytest.fixture(scope="session")
def simulations(launcher, tmp_path_factory) -> Path:
    """Small simulations for all three figures, one of another length, and one broken folder.

    Not to be written to: see `copied`.
    """
    logs = tmp_path_factory.mktemp("logs")

    def make(folder: Path) -> None:
        for run in RUNS:
            words = *SMALL.split(), "--compile", "off", *run.split()
            process = start_with(launcher, logs, *words, output_dir=folder)
            process.ended()
        for clipping in CLIPPINGS:
            copy_without_noise(folder, clipping)
        break_copy(folder)

    return session_cache(tmp_path_factory, "simulations", make)


@pytest.fixture(scope="module")
def read(simulations) -> Simulations:
    """The small simulations, read back."""
    return Simulations.read(simulations)


@pytest.fixture(scope="module")
def report(simulations, tmp_path_factory) -> Report:
    """The report on the small simulations."""
    return report_on(simulations, tmp_path_factory.mktemp("figures"))


@pytest.fixture
def copied(simulations, tmp_path) -> Path:
    """A copy of the small simulations, to add to."""
    return shutil.copytree(simulations, tmp_path / "simulations")


@pytest.fixture(scope="module")
def archive(simulations, tmp_path_factory) -> Path:
    """The small simulations, and three networks of the original scripts beside them."""
    folder = shutil.copytree(simulations, tmp_path_factory.mktemp("archive") / "simulations")
    write_legacy_folder(folder, [90.0, 92.0, 94.0], **LEGACY)
    return folder


@pytest.fixture
def svg_alone(monkeypatch):
    """Save pictures as SVG alone, which is drawn fastest, and close those that a test has drawn."""
    monkeypatch.setattr(style, "FORMATS", ("svg",))
    drawn_before = {*plt.get_fignums()}  # a picture of several tests stays open
    yield
    for number in {*plt.get_fignums()} - drawn_before:
        plt.close(number)


@pytest.fixture
def unsaved(svg_alone, monkeypatch) -> None:
    """Save no pictures, where other tests save them."""
    monkeypatch.setattr(style, "FORMATS", ())


@pytest.fixture
def all_formats(svg_alone, monkeypatch) -> tuple[str, ...]:
    """Save pictures in each format all the same; returns their endings."""
    monkeypatch.setattr(style, "FORMATS", ("pdf", "svg", "png"))
    return style.FORMATS


def copy_without_noise(folder: Path, clipping: float) -> None:
    """Copy figure 1's networks as if of figure 2 or 3; a larger smallest pulse makes them worse."""

    def edit(record: dict) -> dict:
        worse = {key: record[key] - 10 * clipping for key in KEYS if key in record}
        changes = {"device_variability": 0.0, "clipping": clipping}
        parameters = {"optimizer_parameters": record["optimizer_parameters"] | changes}
        return record | parameters | worse | {"resistor_noise": 0.0, "voltage_noise": 0.0}

    for origin in [*folder.glob(f"*-{PAPERS}")]:
        name = f"var-0.0-clipping-{clipping}-resistor-0.0-voltage-0.0"
        copy = folder / origin.name.replace(PAPERS, name)
        edit_records(rename_files(shutil.copytree(origin, copy), origin.name), edit, "settings")


def break_copy(folder: Path) -> None:
    """Network 0's weights are cut off, 1's JSON is none, 2's is gone, 3 is of another setting."""
    victim = next(folder.glob("*exponential-3000.0-var-0.2-*"))
    broken = folder / victim.name.replace("3000.0", "4000.0")
    rename_files(shutil.copytree(victim, broken), victim.name)
    for end in (".pth", "-accuracies.pth", "-gradients.pth"):  # whole, but of learning rate 3000
        shutil.copy(broken / f"{broken.name}-0{end}", broken / f"{broken.name}-3{end}")
    record = json.loads((broken / f"{broken.name}-0.json").read_text())
    (broken / f"{broken.name}-3.json").write_text(json.dumps(record | {"model": 3}))
    record["optimizer_parameters"]["lr"] = 4000.0
    (broken / f"{broken.name}-0.json").write_text(json.dumps(record))
    weights = broken / f"{broken.name}-0.pth"
    weights.write_bytes(weights.read_bytes()[:5000])
    (broken / f"{broken.name}-1.json").write_text("{")
    (broken / f"{broken.name}-2.json").unlink()


def rename_files(folder: Path, old: str) -> Path:
    """Name the files of a folder, which had another name, after it; returns the folder."""
    for path in sorted(folder.iterdir()):
        path.rename(folder / path.name.replace(old, folder.name))
    return folder


def edit_records(folder: Path, edit: Callable[[dict], dict], *more: str) -> None:
    """Replace every record of a folder, and files of more endings, by what `edit` makes of it."""
    for path in (path for ending in ("json", *more) for path in folder.glob(f"*.{ending}")):
        path.write_text(json.dumps(edit(json.loads(path.read_text()))))


def report_on(simulations: Path, figures: Path, **filters) -> Report:
    """The report that is drawn into a folder of figures, as if the simulations stood as usual."""
    return Report(Networks(Simulations.read(simulations), filters), figures)


def untrained_report(folder: Path, settings, accuracy) -> Report:
    """The report on networks that nobody trained; arguments as of `untrained_runs.write`."""
    untrained_runs.write(folder / "out", settings, accuracy)
    return report_on(folder / "out", folder / "figures")


def from_files(simulations: Path, field: str, clipping: float, var: float, key="accuracy"):
    """Return {lr: values over networks}, read from the JSON files."""
    values = {}
    for path in sorted(simulations.glob("[!.]*/*.json")):
        if BROKEN in path.name:
            continue
        record = json.loads(path.read_text())
        parameters = record["optimizer_parameters"]
        setting = (
            parameters["field"],
            parameters["clipping"],
            parameters["device_variability"],
            record["epochs"],
        )
        if setting == ([field], clipping, var, EPOCHS) and parameters["lr"] in RATES:
            values.setdefault(parameters["lr"], []).append(record[key])
    return values


def assert_curve(line, x, y):
    """Assert that a line of a picture leads through these points."""
    for actual, expected in ((line.get_xdata(), x), (line.get_ydata(), y)):
        assert np.asarray(actual) == pytest.approx(np.asarray(expected))


def means_of(values: dict) -> list[float]:
    """The mean over networks at each learning rate, in their order."""
    return [statistics.fmean(values[rate]) for rate in sorted(values)]


def rows_of(table: pd.DataFrame, **values) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def with_other_constants(simulations: Path, find: str, **constants) -> Path:
    """Write a copy of a folder whose device, of the same name, has other constants.

    find: the pattern of the folder to copy. The copy's networks are 20 points worse.
    """
    (origin,) = simulations.glob(find)
    other = simulations / f"20300101000000-{origin.name.partition('-')[2]}"
    rename_files(shutil.copytree(origin, other), origin.name)

    def with_constants(record: dict) -> dict:
        (field,) = record["optimizer_parameters"]["field"]
        record["devices"][field] |= constants
        return record | {"accuracy": record["accuracy"] - 20}

    edit_records(other, with_constants)
    return other
