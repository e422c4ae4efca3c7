"""What learning costs: against what it reaches, and as a table at the user's prices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from utils.plots import statistics as stats
from utils.plots import style
from utils.plots.panels import grid, note, use_log_scale
from utils.plots.prices import Prices
from utils.plots.selection import by_field
from utils.records.columns import setting_columns
from utils.records.ledgers import LedgerRecord
from utils.records.simulations import ledgers_of
from utils.records.summary import DASH

KEYS = [name for name in setting_columns() if name not in ("task", "voltage_noise")]
DRAWN = ["accuracy", "pulses", "refreshes"]  # accuracy in %, and costs
CLOSE = 0.5  # points of accuracy within which a learning rate is about as good as the best


def draw_costs(networks: pd.DataFrame) -> Figure | None:
    """Against pulses per device, a point a learning rate: a, accuracy; b, refreshes per pair.

    networks: with costs, that differ in field and learning rate; None if none has a ledger.
    """
    networks = networks[networks["pulses"] > 0]
    if networks.empty:
        return None
    figure, ((reached, refreshed),) = grid(1, 2, (style.PAGE, 2.9))
    fields = by_field(networks)
    for field, look in style.looks(fields).items():
        points = fields[field].groupby("lr")[DRAWN].agg(["mean", "std", "size"])
        # Refreshes grow with the learning rate: the first and the last tell the others.
        draw_points(reached, points, "accuracy", look, range(len(points)))
        draw_points(refreshed, points, "refreshes", look, (0, -1))
    for axes, label in ((reached, "test accuracy (%)"), (refreshed, "refreshes per pair")):
        use_log_scale(axes.xaxis)
        axes.set(xlabel="pulses per device in the whole training", ylabel=label)
    if (networks["refreshes"] > 0).all():
        use_log_scale(refreshed.yaxis)
    else:  # as of ideal devices
        refreshed.set_ylim(0)
    reached.legend(loc="best", title=stats.describe_mean(networks))
    figure.suptitle(f"{style.physics(networks)}; numbers are learning rates")
    return figure


def draw_points(
    axes, points: pd.DataFrame, quantity: str, look: dict[str, str], named: Iterable[int]
) -> None:
    """Means over networks, connected by learning rate, with standard deviations from three on.

    named: the places of the points beside which their learning rates are written.
    """
    x, y = points["pulses"], points[quantity]
    errors = (p["std"].where(p["size"] >= stats.MIN_FOR_SPREAD).fillna(0) for p in (y, x))
    axes.errorbar(x["mean"], y["mean"], *errors, lw=0.8, elinewidth=0.8, **look)
    for place in named:
        at = x["mean"].iloc[place], y["mean"].iloc[place]
        note(axes, f"{points.index[place]:g}", at, (3, 3), fontsize=6, color=look["color"])


def conclusion(networks: pd.DataFrame) -> str:
    """How many pulses per device each field needs for its best accuracy; nothing if not counted."""
    networks, parts = networks.dropna(subset=["pulses"]), []
    for field, rows in by_field(networks).items():
        means = rows.groupby("lr")[DRAWN].mean()
        accuracy, pulses, best = means["accuracy"], means["pulses"], stats.best_rate(rows)
        cheapest = pulses[accuracy >= accuracy.max() - CLOSE].idxmin()
        part = (
            f"{style.name(field)} takes {pulses[best]:.3g} pulses per device for its best "
            f"{accuracy[best]:.2f} % (learning rate {stats.describe_best_rate(rows)})"
        )
        if cheapest != best:
            part += (
                f", and {pulses[cheapest]:.3g} for {accuracy[cheapest]:.2f} %, within {CLOSE:g} "
                f"points of it (learning rate {cheapest:g})"
            )
        parts.append(part)
    return f"Costs ({stats.describe_mean(networks)}): {'; '.join(parts)}." if parts else ""


def costs_table(networks: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """A row for each setting and layer, and one for all layers: means over networks, as text.

    Settings without a ledger are left out. pulses, writes, dropped, refreshes: totals of the
    training. per device, median, 99th, largest: pulses of a device, the last three where the wear
    of single devices was recorded, without inputs that are always zero. beyond: the share of the
    devices that take more pulses, or refreshes, than they endure. In the row of all layers, with
    prices: energy; the time if one device is written after the other, the longest possible, and if
    all are written at once, the shortest possible: that of a device with the mean number of pulses,
    or, with wear, of the busiest one. Refreshes are not part of the time.
    """
    rows = []
    for _, alike in networks.groupby([*KEYS, "constants", "original"], sort=True):
        ledgers = [
            ledger for ledger in ledgers_of(alike) if ledger and ledger.pulses.isfinite().all()
        ]
        if ledgers:
            rows_of_all = pd.concat([costs(ledger, prices) for ledger in ledgers])
            for layer, means in rows_of_all.groupby(level=0, sort=False).mean().iterrows():
                row = {**alike[KEYS].iloc[0], "layer": layer, "n": len(ledgers)}
                rows.append({**row, **means.dropna().map("{:.4g}".format)})
    varied = [name for name in KEYS if name not in ("field", "lr")]
    same = [name for name in varied if networks[name].nunique() < 2]
    table = pd.DataFrame(rows, columns=None if rows else [*KEYS, "layer", "n"]).drop(columns=same)
    return table.dropna(axis="columns", how="all").fillna(DASH)


def costs(ledger: LedgerRecord, prices: Prices) -> pd.DataFrame:
    """The costs of one network: a row for each layer, counted from 1, and one for `all`."""
    names = ("pulses", "writes", "dropped", "refreshes")
    table = pd.DataFrame({name: getattr(ledger, name).sum(0).numpy() for name in names})
    table["pairs"] = ledger.pairs.numpy()
    table.index = [str(layer + 1) for layer in table.index]
    table.loc["all"] = table.sum()
    table["dropped %"] = 100 * table["dropped"] / (table["dropped"] + table["writes"])
    table["per device"] = busiest = table["pulses"] / (2 * table["pairs"])
    table["per pair"] = table["refreshes"] / table.pop("pairs")
    if ledger.wear:
        parts = [*([layer] for layer in ledger.wear), ledger.wear]
        wear = [wear_columns(replace(ledger, wear=tuple(part)), prices) for part in parts]
        table = table.join(pd.DataFrame(wear, table.index))
        busiest = table["largest"]
    total: Any = table.loc["all"]
    of_pulse, of_refresh = prices.pulse_energy, prices.refresh_energy
    if of_pulse is not None or of_refresh is not None:
        energy = total["pulses"] * (of_pulse or 0.0) + total["refreshes"] * (of_refresh or 0.0)
        table.loc["all", "energy / J"] = energy
    if prices.pulse_time is not None:
        table.loc["all", "one by one, at most / s"] = total["pulses"] * prices.pulse_time
        table.loc["all", "all at once, at least / s"] = busiest["all"] * prices.pulse_time
    return table


def wear_columns(ledger: LedgerRecord, prices: Prices) -> dict[str, float]:
    """How the pulses are spread over the devices that see any, or whose partner does."""
    devices = [torch.stack([layer["pulses1"], layer["pulses2"]]) for layer in ledger.wear]
    active = [wear[:, :, wear.sum((0, 1)) > 0].flatten() for wear in devices]  # [device, out, in]
    pulses, shares = torch.cat(active).numpy(), {"median": 0.5, "99th": 0.99, "largest": 1.0}
    row = dict.fromkeys(shares, math.nan)
    if len(pulses):  # the smallest value that so many are not above
        values = np.quantile(pulses, list(shares.values()), method="inverted_cdf").tolist()
        row = dict(zip(shares, values, strict=True))
    n_devices = 2 * float(sum(layer["refreshes"].numel() for layer in ledger.wear))
    if prices.endurance is not None:
        count = int((ledger.worn_pulses() > prices.endurance).sum())
        row["beyond endurance %"] = 100 * count / n_devices
    if prices.refresh_endurance is not None:
        count = 2 * int((ledger.worn_refreshes() > prices.refresh_endurance).sum())
        row["beyond refresh endurance %"] = 100 * count / n_devices
    return row
