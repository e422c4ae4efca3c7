"""By how much a network on the GPU differs from the same one on the CPU: more than by rounding?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from torch import Tensor

from devices.ledger import COUNTS

# |difference| / |value|, in norms, by whether products are in TF32. Honest rounding stays well
# below, and what any mistake makes of it well above: see tests/test_verification.py.
TOLERANCE = {False: 0.02, True: 0.15}
EXACT = 1e-4  # of the device's range: by which voltages may differ that follow from one gradient
UNDECIDED = 2e-3  # share of pairs that may be at the edge of a threshold, beside a single one


class MismatchError(Exception):
    """What is not as on the CPU, and by how much."""


class Differences:
    """Adds up, over steps, differences of quantities by their names; the first tensor is the GPU's.

    span: of the device's range (arb. u.); tf32: whether products round so.
    """

    def __init__(self, span: float, tf32: bool):
        self.span, self.tolerance = span, TOLERANCE[tf32]
        self.squares: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        self.counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

    def add(self, name: str, actual: Tensor, expected: Tensor) -> None:
        """Of what products decide: compared by norms."""
        actual, expected = actual.cpu().double(), expected.cpu().double()
        difference, size = self.squares[name]
        difference += float((actual - expected).square().sum())
        self.squares[name] = difference, size + float(expected.square().sum())

    def add_voltages(self, name: str, actual: Tensor, expected: Tensor) -> None:
        """Of devices: compared one by one."""
        near = (actual.cpu().double() - expected.cpu().double()).abs() <= EXACT * self.span
        self.add_count(name, int((~near).sum()), near.numel())

    def add_count(self, name: str, wrong: int, of: int, undecided: int = 0) -> None:
        """Of things that are right or wrong; for so many of them rounding decides."""
        count, total = self.counts[name]
        self.counts[name] = count + max(0, wrong - undecided), total + of

    def add_pairs(self, actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
        """Of a network as `slice_of` has it, those on inputs that are always zero, too."""
        for name in actual:
            if name.endswith(("weight1", "weight2")):
                self.add_voltages(f"pairs of layer {layer_of(name)}", actual[name], expected[name])

    def add_statistics(self, actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
        """Running means and variances of such a network."""
        for name in actual:
            if name.endswith(("running_mean", "running_var")):
                kind = name.rpartition(".")[2]
                self.add(f"{kind} of layer {layer_of(name)}", actual[name], expected[name])

    def add_costs(
        self,
        before: Mapping[str, Tensor],
        actual: Mapping[str, Tensor],
        expected: Mapping[str, Tensor],
    ) -> None:
        """What a step has cost such a network, which stood as `before`: pulses, and counts."""
        for name in before:
            if name.endswith(".sums"):
                layer = layer_of(name)
                number = layer - 1
                mine, theirs = (each[name] - before[name] for each in (actual, expected))
                self.add(f"pulses of layer {layer}", mine[0], theirs[0])
                wrong = (mine - theirs)[1:].abs().tolist()
                of = actual[f"network.layers.{number}.pairs.weight1"].numel()
                for what, count in zip(COUNTS[1:], wrong, strict=True):
                    self.add_count(f"{what} of layer {layer}", round(count), of)

    def check(self) -> None:
        """Raise MismatchError for what differs most, against what it may."""
        excess = []
        for name, (difference, size) in self.squares.items():
            # What is all zero is so by any rounding.
            share = math.sqrt(difference / size) if size else math.inf if difference else 0.0
            if not share <= self.tolerance:
                text = f"{name}: off by {share:.2g} of their size, rounding makes {self.tolerance}"
                excess.append((share / self.tolerance, text))
        for name, (wrong, total) in self.counts.items():
            allowed = 1 + UNDECIDED * total
            if wrong > allowed:
                excess.append((wrong / allowed, f"{name}: {wrong} of {total} are others"))
        if excess:
            raise MismatchError(max(excess)[1])


def layer_of(name: str) -> int:
    """Of a tensor of an ensemble, counted from 1."""
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    return numbers[0] + 1 if numbers else 1
