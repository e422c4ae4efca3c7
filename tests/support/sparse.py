"""Networks whose first layer is updated in one pass, and dim images for them."""

from __future__ import annotations

import pytest
from conftest import currents_of, random_data, setting_of

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from support.devices import device_of
from utils.data.datasets import DataSet
from utils.settings import Member
from utils.training.ensemble import Ensemble


def dim_data() -> DataSet:
    return random_data(0.04, n_train=200, pixels=(9, 9))


@pytest.fixture(scope="module")
def dim() -> Currents:
    """Images of which each input is zero in some batches; an odd number of inputs."""
    return currents_of(dim_data(), padding=0)


OTHERS = {  # of the same family, with constants of their own; of tables also other cells
    "double-linear": "other linear",
    "double-exponential": "other exponential",
    "table": "longer table",
}


def fresh(
    currents, ledger_level=LedgerLevel.WEAR, n_models=2, field="double-linear", **changes
) -> Ensemble:
    """Networks that differ in all that the kernel knows of each."""
    values = dict(lr=5e4, init=0.2, layers=(40, 8)) | changes
    first = setting_of(field=device_of(field), **values)
    values |= dict(lr=0.7 * values["lr"], clipping=1.5 * first.clipping, physical_clipping=False)
    second = setting_of(field=device_of(OTHERS.get(field, field)), **values)
    members = [Member(first, 0), Member(second, 0)][:n_models]
    return Ensemble.fresh(members, currents, ledger_level)
