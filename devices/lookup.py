"""Tables of measured points in networks: their lines are found by a direct index, not by a search.

The range is divided into equal cells, so fine that hardly one holds more than one point. A cell
knows the line from its left edge on, and the next points with the change of slope at each. So a
compiled program finds the lines of all pairs in one pass, which for figure 1's first layer takes
1.5 ms on one core of an AMD EPYC (Zen 4); binary searches take several times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from devices.responses import Table

MOST_CELLS = 8192  # more would not stay in the cache of a core
NO_POINT = 1e30  # cells away, farther than any voltage gets
ON_EDGE = 1e-6  # cells by which a point may miss an edge and count as on it

Points = tuple[Tensor, Tensor]  # knots, rising from about 0, and values: float64 [points]


@lru_cache(maxsize=64)
def points_of(table: Table) -> tuple[Points, Points]:
    """Pulses against the distance below the top, and voltages against pulses.

    From the top as networks hold it, in single precision, so that no distance is rounded.
    """
    pulses, voltages = (
        torch.tensor(each, dtype=torch.float64) for each in (table.pulses, table.voltages)
    )
    return (voltages[0].float().double() - voltages, pulses), (pulses, voltages)


def most_in_a_cell(knots: Tensor, n: int) -> int:
    """How many knots are within the fullest of n cells; 0 if all are on edges."""
    at = knots[1:-1] * (n / knots[-1])
    inside = at[(at - at.round()).abs() > ON_EDGE]
    return int(inside.long().bincount().max()) if len(inside) else 0


def cells_for(knots: Tensor) -> int:
    """Fewest cells with all knots on edges, as equal steps can be, or else with one in each."""
    steps = float(knots[-1] / knots.diff().min())
    for parts in range(1, 1 + int(MOST_CELLS / steps)):
        if most_in_a_cell(knots, n := round(steps * parts)) == 0:
            return n
    n = 1 << (len(knots) - 1).bit_length()
    while n < MOST_CELLS and most_in_a_cell(knots, n) > 1:
        n *= 2
    return n


class Lines(nn.Module):
    """Piecewise linear functions, one for each network, the last line of each going on.

    Buffers [model, cell]: `edge`, value at the left edge of a cell; `slope`, change per cell after
    it; `point<k>`, `change<k>`: where, counted from the edge in cells, the k-th next knot is, and
    how the slope changes there. `scale`, cells per unit, and `width`, its inverse: [model, 1, 1].
    n: cells, depth: knots that are looked at in each; both are common to all networks.
    """

    def __init__(self, functions: Sequence[Points], least: int, device: torch.device | None):
        """least: of the depth."""
        super().__init__()
        self.n = max(cells_for(knots) for knots, _ in functions)
        self.depth = max(least, *(most_in_a_cell(knots, self.n) for knots, _ in functions))
        scales = [self.n / float(knots[-1]) for knots, _ in functions]
        rows = [self.row(*points) for points in functions]
        for name, values in (
            *((name, torch.stack([row[name] for row in rows])) for name in rows[0]),
            ("scale", torch.tensor(scales)[:, None, None]),
            ("width", torch.tensor([1 / scale for scale in scales])[:, None, None]),
        ):
            self.register_buffer(name, values.float().to(device), persistent=False)

    def row(self, knots: Tensor, values: Tensor) -> dict[str, Tensor]:
        """The buffers of one network: [cell]."""
        at = knots * (self.n / knots[-1])
        slopes = values.diff() / at.diff()
        edges = torch.arange(self.n, dtype=torch.float64)
        k = torch.searchsorted(at[1:-1].contiguous(), edges + ON_EDGE, right=True)
        points = torch.cat([at[1:-1], at.new_full((self.depth,), NO_POINT)])
        changes = torch.cat([slopes.diff(), at.new_zeros(self.depth)])
        row = {"edge": values[k] + slopes[k] * (edges - at[k]), "slope": slopes[k]}
        for depth in range(self.depth):
            row |= {
                f"point{depth}": points[k + depth] - edges,
                f"change{depth}": changes[k + depth],
            }
        return row

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | float]:
        """At x [model, out, in]: value, slope (per cell), and how many cells it surely goes on."""
        z = x * self.scale
        cell = z.clamp(max=self.n - 1).long().clamp(0, self.n - 1)  # also of what is no number
        index = cell.flatten(1)

        def of_cell(name: str) -> Tensor:
            return getattr(self, name).gather(1, index).view_as(z)

        beyond = z - cell  # the left edge
        slope, end = of_cell("slope"), 1.0
        value = of_cell("edge") + slope * beyond
        for depth in reversed(range(self.depth)):
            point, change = of_cell(f"point{depth}"), of_cell(f"change{depth}")
            past = beyond >= point
            value = value + change * (beyond - point).clamp(min=0)
            slope = torch.where(past, slope + change, slope)
            end = torch.where(past, end, point)
        return value, slope, end - beyond


class Tables(nn.Module):
    """The tables of the networks of an ensemble, which may differ in their number of points.

    top: the highest voltage, [model, 1, 1]. shape: what compiled programs depend on.
    """

    def __init__(self, each: Sequence[Table], device: torch.device | None = None):
        super().__init__()
        inverses, responses = zip(*map(points_of, each), strict=True)
        self.pulses_at = Lines(inverses, 1, device)
        self.voltage_after = Lines(responses, 0, device)
        top = torch.tensor([table.voltages[0] for table in each], dtype=torch.float32)
        self.register_buffer("top", top.to(device)[:, None, None], persistent=False)
        self.shape = tuple((lines.n, lines.depth) for lines in self.children())

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Hall voltage [model, out, in] once further pulses are applied; see Response.

        A device that stays on its line is taken down it, so that a small change is not rounded
        twice; others by way of their number of pulses.
        """
        before, slope, room = self.pulses_at(self.top - voltage)
        down = pulses / slope  # cells
        near = voltage - self.pulses_at.width * down
        far, _, _ = self.voltage_after(before + pulses)
        lower = torch.minimum(torch.where(down <= room, near, far), voltage)  # against rounding
        return torch.where(pulses > 0, lower, voltage)
