"""One call of the program: which settings, how many networks of each, and where they run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from devices.ledger_level import LedgerLevel
from devices.responses import Response
from utils.compute.processor import check_device
from utils.errors import UserError
from utils.flags import RUNNING, TRAINING, check_values, flag, flags_of
from utils.settings import LARGEST_SEED, SWITCHES, Member, Setting

COMPILE = ("auto", "on", "off")
LARGEST_RUN = 1_000_000  # networks


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of the program: every setting, n_models networks each, and where they run."""

    settings: tuple[Setting, ...]
    n_models: int = flag(
        10, TRAINING, "networks per setting, seeded seed, seed + 1, ...", int, at_least=1
    )
    data_dir: Path = flag(Path("datasets"), RUNNING, "folder of the data sets", Path, metavar="DIR")
    output_dir: Path = flag(
        Path("simulations"), RUNNING, "folder of the results", Path, metavar="DIR"
    )
    device: str = flag(
        "auto", RUNNING, "auto (CUDA where it is), cpu, cuda, cuda:1, ...", str, metavar="DEVICE"
    )
    compile: str = flag(
        "auto",
        RUNNING,
        "compile the steps: on, off, auto (if the run is long)",
        str,
        metavar="WHEN",
        choices=COMPILE,
    )
    ledger: bool = flag(
        False,
        RUNNING,
        "count pulses, writes, dropped requests and refreshes; a step takes "
        "up to a tenth longer, and with --resume complete networks without it train again",
        bool,
    )
    wear: bool = flag(
        False,
        RUNNING,
        "keep the pulses and refreshes of every single device, too, with --ledger "
        "or without; takes about a third more time",
        bool,
    )
    checkpoint_minutes: float = flag(
        5.0, RUNNING, "longest training between two checkpoints", float, at_least=0
    )
    resume: bool = flag(
        False,
        RUNNING,
        "go on in the folders that hold these settings, training only what is missing",
        bool,
    )
    compute_intermediate: bool = flag(
        False,
        RUNNING,
        "also write the currents into every layer and the voltages out of it for "
        "the first test image; with --resume of complete networks, too",
        bool,
    )
    dry_run: bool = flag(
        False,
        RUNNING,
        "print what would be trained, where, and about how long it takes; train nothing",
        bool,
    )

    def __post_init__(self):
        check_device(self.device)
        check_values(self)
        check_names(self.settings)
        check_switches(self.settings)
        check_writable("--output_dir", self.output_dir)
        if len(self.settings) * self.n_models > LARGEST_RUN:
            raise UserError(
                f"--n_models {self.n_models}: with {len(self.settings)} settings more than "
                f"{LARGEST_RUN} networks; choose fewer"
            )
        last = self.settings[0].seed + self.n_models - 1
        if last > LARGEST_SEED:
            raise UserError(f"--seed: the last network's seed is {last}, the largest is 2^63 - 1")

    @property
    def ledger_level(self) -> LedgerLevel:
        """Of what learning costs."""
        return (
            LedgerLevel.WEAR
            if self.wear
            else LedgerLevel.TOTALS
            if self.ledger
            else LedgerLevel.NOTHING
        )

    @cached_property
    def members(self) -> list[Member]:
        """Every network of the run, setting by setting."""
        return [
            Member(setting, model) for setting in self.settings for model in range(self.n_models)
        ]


def sweep(given: Mapping[str, Any]) -> list[Setting]:
    """Every combination of the values of several flags, the learning rate varying fastest.

    given: values by name, of flags that sweep a sequence of them; where the field is switched, the
    two fields are one value. Raises UserError where a value is given twice or out of range.
    """
    table, axes = flags_of(Setting), {}
    given = with_second(given)
    names = [name for name, (each, _) in table.items() if each.sweeps and name in given]
    for name in sorted(names, key=lambda name: name == "lr"):  # False comes first
        axes[name] = given[name]
        for value, count in Counter(given[name]).items():
            if count > 1:
                raise UserError(f"--{name} {value}: given {count} times; give each value once")
    fixed = {name: value for name, value in given.items() if name not in axes}
    return [
        Setting(**fixed, **dict(zip(axes, chosen, strict=True)))
        for chosen in product(*axes.values())
    ]


def with_second(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with the two fields apart where one follows the other; raises UserError."""
    switches = [name for name in SWITCHES if name in given]
    if not switches:
        return given
    fields = given.get("field", (Setting.field,))
    if len(fields) != 2:
        raise UserError(
            f"--{switches[0]}: needs two fields, --field A B: first that at the start, then that "
            f"after the switch; there {'is' if len(fields) == 1 else 'are'} {len(fields)}"
        )
    rest = {name: value for name, value in given.items() if name != "field"}
    return rest | {"field": (fields[0],), "second": fields[1]}


def check_names(settings: Sequence[Setting]) -> None:
    """Raise UserError if two different devices of a run, or their partners, have one name."""
    known: dict[str, Response] = {}
    devices = dict.fromkeys(device for setting in settings for device in setting.fields)
    for device in devices:
        for one in (device, device.partner) if device.partner else (device,):
            if known.setdefault(one.name, one.response) != one.response:
                raise UserError(
                    f"--field: two devices with different constants are named {one.name}; "
                    "give one of them another name"
                )
    names = Counter(device.name for device in devices)
    for name, count in names.items():
        if count > 1:
            raise UserError(
                f"--field: {count} devices named {name} relax to different ones; "
                "give each a name of its own"
            )


def check_switches(settings: Sequence[Setting]) -> None:
    """Raise UserError if a switch is asked for twice, as 11 and 12 are the same of 20 epochs."""
    seen: dict[Setting, Setting] = {}
    for setting in settings:
        switched = setting.switched_at
        if switched is None:
            continue
        other = seen.setdefault(replace(setting, time_switch=None, switch_epoch=switched), setting)
        if other is not setting:
            raise UserError(
                f"--time_switch {other.time_switch} and {setting.time_switch}: both switch at the "
                f"start of epoch {switched}; give one of them"
            )


def check_writable(flag: str, folder: Path) -> None:
    """Raise UserError if the folder cannot be made, or is there and cannot be written to."""
    existing = folder.absolute()
    try:
        while not existing.exists() and existing != existing.parent:
            if existing.is_symlink():
                raise UserError(f"{flag} {folder}: {existing} is a link to nothing; name another")
            existing = existing.parent
    except OSError as error:  # a name too long, or below a folder that may not be entered
        raise UserError(f"{flag} {folder}: {error.strerror}; name another") from None
    if not existing.is_dir():
        raise UserError(f"{flag} {folder}: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{flag} {folder}: no permission to write in {existing}; name another")
