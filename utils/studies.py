"""Named lists of settings: what `--study` trains and what the figures show. Without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices.library import find
from utils.errors import UserError
from utils.run import sweep
from utils.settings import SWITCHES, Setting

FIELDS = (find("double-linear"), find("double-exponential"))
REFERENCES = (*FIELDS, find("double-ideal"))  # what a device of the user's own is compared with
SWITCHED_AT = (1, 2, 5, 10, 15)  # epochs, of 20
RATES = (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)


@dataclass(frozen=True)
class Study:
    """Some sweeps under a name. about: a line for --help; sweeps: values by flag."""

    name: str
    about: str
    sweeps: Sequence[Mapping[str, Any]]

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """Every setting once; what is given, by flag, wins over the study's own values."""
        return settings_of(self.sweeps, given or {})

    @property
    def command(self) -> str:
        """What trains it."""
        return f"figures/{self.name}.sh"


@dataclass(frozen=True)
class SwitchStudy(Study):
    """Two fields, switched from either to the other after some epochs, and each field alone.

    sweeps: one, of what both orders and both fields have in common, epochs to switch at among it.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """As of Study. Of its own epochs to switch at those that a shorter training has."""
        given = dict(given or {})
        common = {**self.sweeps[0], **given}
        if any(name in given for name in SWITCHES):
            switches = {name: given[name] for name in SWITCHES if name in given}
        else:
            epochs = common.get("epochs", Setting.epochs)
            switches = {"switch_epoch": [e for e in common["switch_epoch"] if e < epochs]}
            if not switches["switch_epoch"]:
                raise UserError(f"--study {self.name}: nothing to switch in {epochs} epochs")
        alone = {name: value for name, value in common.items() if name not in SWITCHES}
        orders = ({**alone, "field": alone["field"][::step], **switches} for step in (1, -1))
        return settings_of([*orders, alone], {})


def settings_of(sweeps: Sequence[Mapping], given: Mapping) -> tuple[Setting, ...]:
    found = (setting for values in sweeps for setting in sweep({**values, **given}))
    return tuple(dict.fromkeys(found))


def by_rate(var: float, resistor_noise: float, clipping: tuple[float, ...]) -> dict[str, tuple]:
    """Both fields over the learning rates."""
    return {
        "field": FIELDS,
        "lr": RATES,
        "var": (var,),
        "resistor_noise": (resistor_noise,),
        "clipping": clipping,
    }


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "figure1",
            "both fields over learning rates, with variability, read noise and clipping",
            [by_rate(0.2, 0.015, (0.1,))],
        ),
        Study("figure2", "the same with ideal devices", [by_rate(0.0, 0.0, (0.0,))]),
        Study(
            "figure3",
            "the same with clipping alone, at three thresholds",
            [by_rate(0.0, 0.0, (0.1, 0.2, 0.5))],
        ),
        Study(
            "own-device",
            "linear, exponential and ideal; figures/own-device.sh FILE.json adds your own",
            [{"field": REFERENCES, "lr": RATES}],
        ),
        SwitchStudy(
            "switch",
            "both fields, switched after some epochs from either to the other, and never",
            [by_rate(0.2, 0.015, (0.1,)) | {"lr": (1000.0, 3000.0), "switch_epoch": SWITCHED_AT}],
        ),
    )
}


def find_study(name: str) -> Study:
    """The study of that name; raises UserError, which lists the valid names, otherwise."""
    if name not in STUDIES:
        raise UserError(f"--study {name}: unknown; the valid ones: {', '.join(STUDIES)}")
    return STUDIES[name]
