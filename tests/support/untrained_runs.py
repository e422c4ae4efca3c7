"""Records of networks without training: settings with given accuracies, as files or a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch

from devices.library import measurements
from utils.records.columns import RESULTS, identity_columns, series_columns, setting_columns
from utils.records.folders import create_folders
from utils.records.setting_json import to_json
from utils.records.simulations import comparable
from utils.settings import Setting


def table(settings: Sequence[Setting], accuracy: Callable, n_models: int = 3) -> pd.DataFrame:
    """Rows as `Simulations.networks` has them, without files; accuracy (%) of setting, model."""
    rows = []
    for setting in settings:
        for model in range(n_models):
            names = {*setting_columns(), *series_columns()} - {"switch"}
            values = {name: getattr(setting, name) for name in names} | {"switch": 0}
            percent = accuracy(setting, model)
            rows.append(
                values
                | {
                    "field": setting.field.name,
                    "constants": "",
                    "distribution_version": 1,
                    "original": False,
                    "model_seed": setting.seed + model,
                    "model": model,
                    "accuracy": percent,
                    "relaxed": percent - 1,
                    "request": 0.5,
                    "failed": False,
                    "folder": None,
                    "setting": comparable(setting),
                }
            )
    return pd.DataFrame(rows, columns=[*identity_columns(), *RESULTS]).astype(
        {"failed": bool, "original": bool}
    )


def write(
    output_dir: Path,
    settings: Sequence[Setting],
    accuracy: Callable,
    n_models: int = 3,
    relaxed: Callable = lambda setting, percent: percent - 1,
) -> None:
    """Write settings with given accuracies as folders, with weights of 4 inputs and 3 classes.

    The weights of endless devices go beyond a range. The accuracy of the last epoch is that given.
    """
    generator = torch.Generator().manual_seed(0)
    for folder in create_folders(output_dir, list(settings), "0" * 64):
        setting, response = folder.setting, folder.setting.field.response
        for model in range(n_models):
            percent = accuracy(setting, model)
            before_last = torch.arange(setting.epochs - 1, -1, -1)
            history = percent / 100 * (1 - 0.1 * before_last / setting.epochs)
            torch.save(history, folder.accuracies(model))
            torch.save(torch.linspace(1.5, 0.5, setting.epochs), folder.gradients(model))
            state = {}
            for layer, (n_in, n_out) in enumerate(pairwise([4, *setting.layers, 3])):
                for name in ("weight1", "weight2"):
                    share = torch.rand(n_out, n_in, generator=generator)
                    spans = share * (3 if response.endless else 1)
                    w = response.w_min + response.span * spans
                    state[f"layers.{1 + 3 * layer}.{name}"] = w
            torch.save(state, folder.weights(model))
            swap = None if setting.field.partner is None else relaxed(setting, percent)
            record = to_json(setting) | {
                "model": model,
                "loss": 0.1,
                "accuracy": percent,
                "swap_accuracy": swap,
                "failed_step": None,
                "measured": measurements(setting.field),
            }
            folder.json(model).write_text(json.dumps(record))
