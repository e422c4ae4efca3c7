"""The session of each setting: this call of the program as the setting's records describe it."""

from __future__ import annotations

import torch

from models.currents import Currents
from utils.records.session import Session, provenance
from utils.settings import Setting
from utils.training.plan import Plan


def sessions_of(plan: Plan, currents: Currents, data_sha256: str) -> dict[Setting, Session]:
    """Return the session of each setting: its provenance, and all that decides its rounding.

    The number of threads is included if products depend on it; kernels by whether they are in use.
    """
    processor, products = plan.machine.name, {"product": currents.product, **plan.machine.kernels}
    about = provenance(currents.device, processor) | {"data_sha256": data_sha256}
    rounding = {
        "torch": torch.__version__,
        "hardware": processor,
        "threads": plan.threads,
        **products,
    }
    return {
        setting: Session(
            about | products, rounding | {"compiled": plan.compiles(setting)}, plan.ledger
        )
        for setting in plan.settings
    }
