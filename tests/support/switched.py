"""Small networks whose field is switched while they learn."""

from __future__ import annotations

from conftest import currents_of, setting_of

from devices.ledger_level import LedgerLevel
from support.devices import device_of
from utils.compute.compiler import Compiler
from utils.settings import Member, Setting
from utils.training.trainer import Trainer

EPOCHS, SWITCH, BATCH = 4, 2, 16  # 13 mini-batches an epoch, the last one smaller
FLAGS = dict(
    epochs=EPOCHS,
    switch_epoch=SWITCH,
    batch_size=BATCH,
    lr=1500.0,
    var=0.2,
    resistor_noise=0.05,
    voltage_noise=2e-5,
    clipping=0.05,
    init=0.25,
    write_noise=0.02,
    layers=(24,),
)
LINEAR, EXPONENTIAL = "double-linear", "double-exponential"


def switched_setting(first, second, **changes) -> Setting:
    """Return a noisy setting that is switched from a device to another."""
    return setting_of(**FLAGS | changes, field=device_of(first), second=device_of(second))


def trainer_of(
    first, second, data, device="cpu", compiled=False, models=(0,), **changes
) -> Trainer:
    """Return a trainer of some models of such a setting, which keeps a ledger."""
    setting = switched_setting(first, second, **changes)
    currents = currents_of(data, device=device, batch_size=setting.batch_size)
    members = [Member(setting, model) for model in models]
    return Trainer(members, currents, Compiler(compiled), currents.are_on_gpu, LedgerLevel.TOTALS)
