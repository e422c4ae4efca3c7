"""Tables of measured points in networks: their lines are found by a direct index, not by a search.

The range is divided into equal cells, so fine that hardly one holds more than one point. A cell
knows the line from its left edge on, and the next points with the change of slope at each. So a
compiled program finds the lines of all pairs in one pass, without the binary searches that take
several times as long. On a CPU a kernel (lookup.cpp) computes the same, to the bit, and passes over
devices that receive no pulses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from devices.responses import Table
from utils.compute import kernel_builder

SOURCE = Path(__file__).parents[1] / "models/kernels/lookup.cpp"
KNOWN = ((1, 0), (1, 1))  # knots looked at in a cell, of both directions, by the kernel

MOST_CELLS = 8192  # more would not stay in the cache of a core
NO_POINT = 1e30  # cells away, farther than any voltage gets
ON_EDGE = 1e-6  # cells by which a point may miss an edge and count as on it

MOST_PARTS = 16  # into which the smallest step is divided to find a common one


@dataclass(frozen=True, eq=False)
class Points:
    """A function by its points, float64 [points]; the knots rise from about 0."""

    knots: Tensor
    values: Tensor

    @cached_property
    def n(self) -> int:
        """Fewest cells with all knots on edges, as equal steps can be, or else with one in each."""
        steps = float(self.knots[-1] / self.knots.diff().min())
        for parts in range(1, 1 + min(MOST_PARTS, int(MOST_CELLS / steps))):
            if self.most_in_a_cell(n := round(steps * parts)) == 0:
                return n
        n = 1 << (len(self.knots) - 1).bit_length()
        while n < MOST_CELLS and self.most_in_a_cell(n) > 1:
            n *= 2
        return n

    @cached_property
    def depth(self) -> int:
        """How many knots are within the fullest of these cells."""
        return self.most_in_a_cell(self.n)

    def most_in_a_cell(self, n: int) -> int:
        at = self.knots[1:-1] * (n / self.knots[-1])
        inside = at[(at - at.round()).abs() > ON_EDGE]
        return int(inside.long().bincount().max()) if len(inside) else 0


@lru_cache(maxsize=64)
def points_of(table: Table) -> tuple[Points, Points]:
    """Pulses against the distance below the top, and voltages against pulses.

    From the top as networks hold it, in single precision, so that no distance is rounded.
    """
    pulses, voltages = (
        torch.tensor(each, dtype=torch.float64) for each in (table.pulses, table.voltages)
    )
    below = voltages[0].float().double() - voltages
    return Points(below, pulses), Points(pulses, voltages)


class Lines(nn.Module):
    """Piecewise linear functions, one for each network, the last line of each going on.

    Buffer `cells` [model, cell, number]: value at the left edge of a cell and change per cell after
    it; then for each next knot where it is, counted from the edge in cells, and how the slope
    changes there; filled up to a multiple of four numbers. [model, 1, 1]: `scale`, cells per unit,
    `width`, its inverse, and `last`, the number of the last cell. A network has as many cells, and
    knots that are looked at in each, as it needs, so that it rounds as it would alone; rows are
    filled up to equal shapes. shape: number of cells, of knots.
    """

    def __init__(self, functions: Sequence[Points], least: int, device: torch.device | None):
        """least: knots that are looked at in a cell."""
        super().__init__()
        sizes = [(each.n, max(least, each.depth)) for each in functions]
        self.shape = (1 << max(n - 1 for n, _ in sizes).bit_length(), max(d for _, d in sizes))
        rows = [self.row(each, *size) for each, size in zip(functions, sizes, strict=True)]
        for name in rows[0]:
            values = torch.stack([row[name] for row in rows]).float().to(device)
            self.register_buffer(name, values, persistent=False)

    def row(self, points: Points, n: int, depth: int) -> dict[str, Tensor]:
        """The buffers of one network, of n cells in which so many knots are looked at."""
        knots, values = points.knots, points.values
        scale = n / knots[-1]
        at, edges = knots * scale, torch.arange(n, dtype=torch.float64)
        slopes = values.diff() / at.diff()
        k = torch.searchsorted(at[1:-1].contiguous(), edges + ON_EDGE, right=True)

        def filled(cells: Tensor, filler: float) -> Tensor:
            return torch.cat([cells, cells.new_full((self.shape[0] - n,), filler)])

        beyond = torch.cat([at[1:-1], at.new_full((depth,), NO_POINT)])
        changes = torch.cat([slopes.diff(), at.new_zeros(depth)])
        columns = [filled(values[k] + slopes[k] * (edges - at[k]), 0.0), filled(slopes[k], 0.0)]
        for number in range(self.shape[1]):
            looked_at = number < depth  # else as if there were none before the next cell
            point = beyond[k + number] - edges if looked_at else torch.ones_like(edges)
            change = changes[k + number] if looked_at else torch.zeros_like(edges)
            columns += [filled(point, 1.0), filled(change, 0.0)]
        columns += [torch.zeros_like(columns[0])] * (-len(columns) % 4)
        numbers = {"scale": scale, "width": 1 / scale, "last": scale.new_tensor(n - 1)}
        row = {name: number[None, None] for name, number in numbers.items()}
        return row | {"cells": torch.stack(columns, dim=1)}

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All buffers, as the kernel takes them."""
        return self.cells, self.scale, self.width, self.last

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | float]:
        """At x [model, out, in]: value, slope (per cell), and how many cells it surely goes on."""
        z = x * self.scale
        cell = torch.minimum(z, self.last).long().clamp(0, self.shape[0] - 1)  # also of a NaN
        index = cell.flatten(1)

        def of_cell(number: int) -> Tensor:
            return self.cells[..., number].gather(1, index).view_as(z)

        beyond = z - cell  # the left edge
        slope, end = of_cell(1), 1.0
        value = of_cell(0) + slope * beyond
        for knot in reversed(range(self.shape[1])):
            point, change = of_cell(2 + 2 * knot), of_cell(3 + 2 * knot)
            past = beyond >= point
            value = value + change * (beyond - point).clamp(min=0)
            slope = torch.where(past, slope + change, slope)
            end = torch.where(past, end, point)
        return value, slope, end - beyond


class Tables(nn.Module):
    """The tables of the networks of an ensemble, which may differ in their number of points.

    top: the highest voltage, [model, 1, 1].
    """

    def __init__(self, each: Sequence[Table], device: torch.device | None = None):
        super().__init__()
        inverses, responses = zip(*map(points_of, each), strict=True)
        self.pulses_at = Lines(inverses, 1, device)
        self.voltage_after = Lines(responses, 0, device)
        top = torch.tensor([table.voltages[0] for table in each], dtype=torch.float32)
        self.register_buffer("top", top.to(device)[:, None, None], persistent=False)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All buffers, as the kernels take them."""
        return *self.pulses_at.tensors, *self.voltage_after.tensors, self.top

    @property
    def knots(self) -> int:
        """Looked at in a cell on the way from pulses to the voltage."""
        return self.voltage_after.shape[1]

    @property
    def shape(self) -> tuple:
        """What compiled programs depend on."""
        return self.pulses_at.shape, self.voltage_after.shape, self.has_kernel(self.top)

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Hall voltage [model, out, in] once further pulses are applied; see Response.

        A device that stays on its line is taken down it, so that a small change is not rounded
        twice; others by way of their number of pulses.
        """
        if self.has_kernel(voltage):
            voltage, pulses = voltage.contiguous(), pulses.contiguous()
            return torch.ops.magnetoionic.table_after(voltage, pulses, self.tensors, self.knots)
        before, slope, room = self.pulses_at(self.top - voltage)
        down = pulses / slope  # cells
        near = voltage - self.pulses_at.width * down
        far, _, _ = self.voltage_after(before + pulses)
        lower = torch.minimum(torch.where(down <= room, near, far), voltage)  # against rounding
        return torch.where(pulses > 0, lower, voltage)

    def has_kernel(self, voltage: Tensor) -> bool:
        """Whether such voltages are computed by the kernel; the numbers are the same."""
        knots = self.pulses_at.shape[1], self.knots
        is_single = voltage.dtype == torch.float32
        return is_single and knots in KNOWN and kernel_builder.has_kernel(SOURCE, voltage.device)


# An operator, of lookup.cpp, so that compiled programs can call it.
torch.library.define(
    "magnetoionic::table_after",
    "(Tensor voltage, Tensor pulses, Tensor[] tables, int knots) -> Tensor",
)


@torch.library.register_fake("magnetoionic::table_after")
def _(voltage: Tensor, pulses: Tensor, tables: list[Tensor], knots: int) -> Tensor:
    return voltage.new_empty(voltage.shape)
