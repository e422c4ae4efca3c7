"""What learning costs as a table, at the prices of the user's devices."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import torch

from utils.errors import UserError
from utils.records.columns import setting_columns
from utils.records.ledgers import LedgerRecord
from utils.records.simulations import ledgers_of
from utils.records.summary import DASH

KEYS = [name for name in setting_columns() if name not in ("task", "voltage_noise")]


@dataclass(frozen=True)
class Prices:
    """What the user's devices take and endure; None where it is not known.

    pulse_energy, refresh_energy: J, of a pulse, and of the refresh of a pair; pulse_time: s;
    endurance, refresh_endurance: pulses and refreshes that a device endures.
    """

    pulse_energy: float | None = None
    refresh_energy: float | None = None
    pulse_time: float | None = None
    endurance: float | None = None
    refresh_endurance: float | None = None

    @classmethod
    def from_environment(cls) -> Prices:
        """From the variables MAGNETOIONIC_PULSE_ENERGY, _REFRESH_ENERGY, ...; raises UserError."""
        given = {}
        for name in (field.name for field in fields(cls)):
            word = os.environ.get(f"MAGNETOIONIC_{name.upper()}")
            if word is not None:
                given[name] = number(name, word)
        return cls(**given)


NO_PRICES = Prices()


def number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(f"--{name} {word}: must be a finite number >= 0")
    return value


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
        ledgers = [each for each in ledgers_of(alike) if each and each.pulses.isfinite().all()]
        if not ledgers:
            continue
        setting = {name: alike[name].iloc[0] for name in KEYS}
        n_layers = len(alike["layers"].iloc[0]) + 1
        for layer in [*range(n_layers), None]:
            label = "all" if layer is None else str(layer + 1)
            means = pd.DataFrame([costs(each, layer, prices) for each in ledgers]).mean().dropna()
            row = {"layer": label, "n": len(ledgers)}
            rows.append(setting | row | dict(means.map("{:.4g}".format)))
    varied = [name for name in KEYS if name not in ("field", "lr")]
    same = [name for name in varied if networks[name].nunique() < 2]
    table = pd.DataFrame(rows, columns=None if rows else [*KEYS, "layer", "n"]).drop(columns=same)
    return table.dropna(axis="columns", how="all").fillna(DASH)


def costs(ledger: LedgerRecord, layer: int | None, prices: Prices) -> dict[str, float]:
    """The costs of one network, by the table's column.

    layer: counted from 0; None for all layers together.
    """
    layers = slice(None) if layer is None else slice(layer, layer + 1)
    names = ("pulses", "writes", "dropped", "refreshes")
    row = {name: float(getattr(ledger, name)[:, layers].sum()) for name in names}
    pairs = float(ledger.pairs[layers].sum())
    requests = row["dropped"] + row["writes"]
    row["dropped %"] = 100 * row["dropped"] / requests if requests else math.nan
    row["per device"] = row["pulses"] / (2 * pairs)
    row["per pair"] = row["refreshes"] / pairs
    busiest = row["per device"]
    if ledger.wear:
        row |= wear_columns(replace(ledger, wear=ledger.wear[layers]), prices)
        busiest = row["largest"]
    if layer is None:
        row |= priced(row, busiest, prices)
    return row


def wear_columns(ledger: LedgerRecord, prices: Prices) -> dict[str, float]:
    """How the pulses are spread over the devices that see any, or whose partner does."""
    devices = [torch.stack([layer["pulses1"], layer["pulses2"]]) for layer in ledger.wear]
    active = [
        layer[:, :, layer.sum((0, 1)) > 0].flatten() for layer in devices
    ]  # [device, out, in]
    pulses, shares = torch.cat(active).numpy(), (0.5, 0.99, 1.0)
    # The smallest value that so many are not above.
    values = np.quantile(pulses, shares, method="inverted_cdf") if len(pulses) else [math.nan] * 3
    row: dict[str, float] = dict(
        zip(("median", "99th", "largest"), map(float, values), strict=True)
    )
    n_devices = 2 * float(sum(layer["refreshes"].numel() for layer in ledger.wear))
    if prices.endurance is not None:
        count = int((ledger.worn_pulses() > prices.endurance).sum())
        row["beyond endurance %"] = 100 * count / n_devices
    if prices.refresh_endurance is not None:
        count = 2 * int((ledger.worn_refreshes() > prices.refresh_endurance).sum())
        row["beyond refresh endurance %"] = 100 * count / n_devices
    return row


def priced(row: Mapping[str, float], busiest: float, prices: Prices) -> dict[str, float]:
    """Energy in J and times in s of a network, as far as prices are known."""
    columns = {}
    of_pulse, of_refresh = prices.pulse_energy, prices.refresh_energy
    if of_pulse is not None or of_refresh is not None:
        energy = row["pulses"] * (of_pulse or 0.0) + row["refreshes"] * (of_refresh or 0.0)
        columns["energy / J"] = energy
    if prices.pulse_time is not None:
        columns["one by one, at most / s"] = row["pulses"] * prices.pulse_time
        columns["all at once, at least / s"] = busiest * prices.pulse_time
    return columns
