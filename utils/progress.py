"""How far the training is: a bar in a terminal, a line per epoch in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from utils.training.training import Training


def say(line: str) -> None:
    """A line on stderr; a full disk or a closed terminal behind it must not end a run."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Reports the epochs of one group of networks on stderr; failures even if quiet."""

    def __init__(self, label: str, epochs: int, done: int = 0, quiet: bool = False):
        self.label, self.epochs, self.quiet = label, epochs, quiet
        self.start = time.monotonic()
        self.told = set()
        self.bar = None
        if sys.stderr.isatty() and not quiet:
            self.bar = tqdm(
                total=epochs, initial=done, desc=label, unit="epoch", dynamic_ncols=True
            )

    def report(self, epoch: int, accuracy: float, loss: float, pulses: float) -> None:
        """An epoch (counted from 1) is done: means over the group's networks."""
        text = f"accuracy {100 * accuracy:.2f} %, loss {loss:.4f}, request {pulses:.4g} pulses"
        if self.bar is not None:
            with suppress(OSError):
                self.bar.set_postfix_str(text, refresh=False)
                self.bar.update(epoch - self.bar.n)
        elif not self.quiet:
            seconds = time.monotonic() - self.start
            self.say(f"{self.label}: epoch {epoch}/{self.epochs}, {text}, {seconds:.1f} s")

    def tell_failures(self, trainings: Sequence[Training]) -> None:
        """Name each network that stopped being finite, once."""
        for training in trainings:
            for member, step in training.failures().items():
                if member not in self.told:
                    self.told.add(member)
                    self.say(
                        f"network {member.model} of {member.setting.slug} failed: loss or weights "
                        f"are not finite from step {step} on; it is recorded as failed"
                    )

    def say(self, line: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self.bar is not None:
            with suppress(OSError):
                self.bar.write(line, file=sys.stderr)
        else:
            say(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()
