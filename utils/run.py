"""A run, one call of the program: its settings, the networks of each, and where they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from devices.ledger_level import LedgerLevel
from utils.errors import UserError
from utils.flags import RUNNING, TRAINING, check_values, check_writable, flag
from utils.settings import LARGEST_SEED, Member, Setting, Task

COMPILE = ("auto", "on", "off")
LARGEST_RUN = 1_000_000  # the largest number of networks of a run


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of the program: every setting, n_models networks each, and where they run."""

    settings: tuple[Setting, ...]
    extends_rates: bool = (
        False  # beyond the best learning rate of a field, where that is at an edge
    )
    n_models: int = flag(
        10, TRAINING, "networks per setting; their seeds are seed, seed + 1, ...", int, at_least=1
    )
    data_dir: Path = flag(Path("datasets"), RUNNING, "folder of the data sets", Path, metavar="DIR")
    output_dir: Path = flag(
        Path("simulations"), RUNNING, "folder of the results", Path, metavar="DIR"
    )
    device: str = flag(
        "auto",
        RUNNING,
        "processor that computes (not the synaptic device, which is --field): cpu, cuda, cuda:1, "
        "..., or auto: CUDA if there is a GPU",
        str,
        metavar="DEVICE",
    )
    compile: str = flag(
        "auto",
        RUNNING,
        "compile the training step: on, off, or auto: if the run is long",
        str,
        metavar="WHEN",
        choices=COMPILE,
    )
    ledger: bool = flag(
        False,
        RUNNING,
        "count, for each layer and epoch, pulses, writes (updates that reach a device), requests "
        "below the smallest pulse, and refreshes (a pair with a device at the end of its range is "
        "set back without changing the weight). Training takes up to a tenth longer. With "
        "--resume, complete networks without these counts train again",
        bool,
    )
    wear: bool = flag(
        False,
        RUNNING,
        "count the same as --ledger, and the pulses and refreshes of every single device; "
        "training takes about a third longer",
        bool,
    )
    checkpoint_minutes: float = flag(
        5.0, RUNNING, "longest time between two checkpoints", float, at_least=0
    )
    resume: bool = flag(
        False,
        RUNNING,
        "continue an earlier run of these settings in its folders: train only what is missing",
        bool,
    )
    compute_intermediate: bool = flag(
        False,
        RUNNING,
        "also write, for the first test image, the currents into every layer and the voltages "
        "out of it; with --resume also for complete networks",
        bool,
    )
    dry_run: bool = flag(
        False,
        RUNNING,
        "print what would be trained, where, and about how long it takes; train nothing",
        bool,
    )

    def __post_init__(self):
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
        """How much of the cost of learning is counted."""
        return (
            LedgerLevel.WEAR
            if self.wear
            else LedgerLevel.TOTALS
            if self.ledger
            else LedgerLevel.NOTHING
        )

    @property
    def tasks(self) -> list[Task]:
        """The tasks of all networks of the run, from their first step, setting by setting."""
        return [Task(member) for member in self.members]

    @cached_property
    def members(self) -> list[Member]:
        """All networks of the run, setting by setting."""
        return [
            Member(setting, model) for setting in self.settings for model in range(self.n_models)
        ]


def check_names(settings: Sequence[Setting]) -> None:
    """Raise UserError if two different devices of a run, or their partners, have one name."""
    known: dict[tuple[str, str], object] = {}
    fields = dict.fromkeys(device for setting in settings for device in setting.fields)
    for device in fields:
        curves: dict[tuple[str, str], object] = {("falling", device.name): device.response}
        if device.rising is not None:
            curves["rising", device.name] = device.rising
        if device.partner is not None:
            curves["falling", device.partner.name] = device.partner.response
        for (branch, name), curve in curves.items():
            if known.setdefault((branch, name), curve) != curve:
                raise UserError(
                    f"--field: two devices with different constants are named {name}; "
                    "give one of them another name"
                )
    devices = dict.fromkeys(replace(device, rising=None) for device in fields)
    names = Counter(device.name for device in devices)
    for name, count in names.items():
        if count > 1:
            raise UserError(
                f"--field: {count} devices named {name} relax to different ones; "
                "give each a name of its own"
            )


def check_switches(settings: Sequence[Setting]) -> None:
    """Raise UserError if a switch is given twice: --time_switch 11 and 12 mean one epoch of 20."""
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
