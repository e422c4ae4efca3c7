"""How far the training is: a bar in a terminal, a line per epoch in a file."""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from torch import Tensor

    from utils.settings import Member
    from utils.training.share import Epoch


def say(line: str) -> None:
    """A line on stderr; a full disk or a closed terminal behind it must not end a run."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Reports the epochs of one group of networks on stderr; failures even if quiet."""

    def __init__(self, label: str, epochs: int, networks: int, quiet: bool = False):
        self.label, self.epochs, self.networks, self.quiet = label, epochs, networks, quiet
        self.start = time.monotonic()
        self.news: dict[int, list[Epoch]] = defaultdict(list)  # of the epochs not reported yet
        self.told = set()
        self.bar = None
        if sys.stderr.isatty() and not quiet:
            self.bar = tqdm(total=epochs, desc=label, unit="epoch", dynamic_ncols=True)

    def note(self, epoch: Epoch) -> None:
        """Some networks are through an epoch; it is reported when all of them are."""
        self.tell(epoch.failures)
        news = self.news[epoch.number]
        news.append(epoch)
        if sum(len(part.losses) for part in news) == self.networks:
            del self.news[epoch.number]
            self.report(epoch.number, news)

    def report(self, number: int, news: Sequence[Epoch]) -> None:
        """All networks are through epoch `number`: means over them."""

        def mean(values: Iterable[Tensor]) -> float:
            return statistics.fmean(value for part in values for value in part.tolist())

        text = (
            f"accuracy {100 * mean(part.accuracies for part in news):.2f} %, "
            f"loss {mean(part.losses for part in news):.4f}, "
            f"request {mean(part.pulse_requests for part in news):.4g} pulses"
        )
        is_new = any(part.is_new for part in news)
        if self.bar is not None:
            with suppress(OSError):
                self.bar.set_postfix_str(text, refresh=False)
                if not is_new:  # for the speed that it shows
                    self.bar.initial = number
                self.bar.update(number - self.bar.n)
        elif is_new and not self.quiet:
            seconds = time.monotonic() - self.start
            self.say(f"{self.label}: epoch {number}/{self.epochs}, {text}, {seconds:.1f} s")

    def tell(self, failures: dict[Member, int]) -> None:
        """Name each network that stopped being finite, once."""
        for member, step in failures.items():
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
