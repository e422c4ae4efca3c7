"""Reports the progress of training: a bar in a terminal, a line per setting and epoch in a file."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from tqdm import tqdm

from utils.console import log
from utils.settings import Setting


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch, for networks of one setting that train together.

    models: the numbers of the networks; number: of the epoch, counted from 1; accuracy (0 to 1),
    loss, pulse_request (pulses): means over the networks; failed: the networks whose loss or
    weights are not finite, with the step when that began.
    """

    setting: Setting
    models: tuple[int, ...]
    number: int
    accuracy: float
    loss: float
    pulse_request: float
    failed: dict[int, int]


class Progress:
    """Reports the epochs of a run on stderr; if quiet, only failures.

    epochs: the number of epochs to train, summed over networks.
    """

    def __init__(self, epochs: int, quiet: bool = False):
        self.quiet, self.start = quiet, time.monotonic()
        self.reported: set[tuple[Setting, int]] = set()
        self.bar = None
        if sys.stderr.isatty() and not quiet:
            self.bar = tqdm(total=epochs, unit="epoch", dynamic_ncols=True)

    def note(self, epoch: Epoch) -> None:
        """Report an epoch that has ended."""
        for model, step in epoch.failed.items():
            if (epoch.setting, model) not in self.reported:
                self.reported.add((epoch.setting, model))
                self.log(
                    f"network {model} of {epoch.setting.slug} failed: loss or weights are not "
                    f"finite from step {step} on; it is recorded as failed"
                )
        text = (
            f"{describe_networks(epoch)}: epoch {epoch.number}/{epoch.setting.epochs}, "
            f"accuracy {100 * epoch.accuracy:.2f} %, loss {epoch.loss:.4f}, "
            f"request {epoch.pulse_request:.4g} pulses"
        )
        if self.bar is not None:
            with suppress(OSError):
                self.bar.set_postfix_str(text, refresh=False)
                self.bar.update(len(epoch.models))
        elif not self.quiet:
            self.log(f"{text}, {time.monotonic() - self.start:.1f} s")

    def log(self, line: str) -> None:
        """Print a line above the bar, if there is one."""
        if self.bar is not None:
            with suppress(OSError):
                self.bar.write(line, file=sys.stderr)
        else:
            log(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()


def describe_networks(epoch: Epoch) -> str:
    """Return the setting with the number of a single network, or with the count of several."""
    if len(epoch.models) == 1:
        return f"{epoch.setting.slug}, network {epoch.models[0]}"
    return f"{epoch.setting.slug}, {len(epoch.models)} networks"
