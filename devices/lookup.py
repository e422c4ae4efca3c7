"""Tables of measured points are resampled to equal cells in networks; each cell holds one line.

A network looks up its devices' tables for every pair at every step. The points are therefore
resampled, once for each response, to cells of equal width, with the value at a cell's edge and the
change over the cell: the cell of a number is found by a product, without a search. There are enough
cells to meet every measured point within 1e-4 of the span: the steps of the table times a power of
two. Tables work for rising responses, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from devices.resampling import cell_count, cells, pulses_within_tolerance, within_tolerance
from devices.responses import Table, Value, piecewise, single

CONSTANTS = "start", "cells_per_voltage", "cells_per_pulse", "last_by_voltage", "last_by_pulses"
TABLES = "by_voltage", "by_pulses"


def cell_of(position: Value, last: Value) -> Value:
    """Return the number of the cell at a position, which is counted in cells.

    The first and the last cell hold for all positions beyond; the cell of a NaN is 0.
    """
    inside = torch.where(position > 0, position, 0.0)
    return torch.where(inside < last, inside, last).floor()


def after(voltage: Value, pulses: Value, response: SampledResponses) -> Value:
    """Return the voltage after `pulses` >= 0 further pulses: f(f^-1(w) + pulses).

    It is computed as a change of the voltage, so that 0 pulses leave every bit as it is; and the
    position on the curve is a cell and a distance from its edge, so that a few pulses are not lost
    in the rounding of many.
    """
    by_voltage, by_pulses = response.by_voltage, response.by_pulses
    depth = (voltage - response.start) * response.cells_per_voltage
    cell = cell_of(depth, by_voltage.last)
    position, change = by_voltage.look_up(cell)
    position = position + change * (depth - cell)
    before = cell_of(position, by_pulses.last)
    value, slope = by_pulses.look_up(before)
    distance = position - before
    further = distance + pulses * response.cells_per_pulse
    new_cell = cell_of(before + further, by_pulses.last)
    new_value, new_slope = by_pulses.look_up(new_cell)
    landed = new_value + new_slope * (further - (new_cell - before))
    changed = voltage + (landed - (value + slope * distance))
    return torch.where(pulses > 0, changed, voltage)  # against rounding at an edge


class Cells(NamedTuple):
    """One network's function in equal cells: the cells per unit, and the rows of the cells.

    rows: float32 [cell, 2], the value at a cell's left edge and the change over the cell.
    """

    per_unit: float
    rows: Tensor


@lru_cache(maxsize=64)
def resampled(table: Table) -> tuple[float, Cells, Cells]:
    """Return f(0) in single precision, as networks hold it, and the cells by voltage and by pulses.

    Raises ValueError if a table is too steep for equal cells; see devices.resampling.
    """
    start, pulses, end = single(table.voltages[0]), table.pulses, table.pulses_max
    depths = [voltage - start for voltage in table.voltages]
    deepest, sign = depths[-1], math.copysign(1.0, depths[-1])
    rising = [sign * depth for depth in depths]

    def depth_at(pulses_so_far: float) -> float:
        return piecewise(pulses_so_far, pulses, depths)

    def pulses_at(depth: float) -> float:
        return piecewise(sign * depth, rising, pulses)

    n = cell_count(depth_at, pulses, within_tolerance(depths))
    m = cell_count(pulses_at, depths, pulses_within_tolerance(pulses, depths))
    positions = cells(lambda depth: pulses_at(depth) * n / end, deepest, m)
    depths_at_edges = cells(depth_at, end, n)
    return (
        start,
        Cells(m / deepest, torch.tensor(positions, dtype=torch.float32)),
        Cells(n / end, torch.tensor(depths_at_edges, dtype=torch.float32)),
    )


class SampledFunctions(nn.Module):
    """The functions of all networks, in buffers `cells` [model, cell, 2] and `last` [model, 1, 1].

    Each network uses as many cells as it needs, so that it rounds as it would alone; the rest of
    its cells is zero.
    """

    cells: Tensor
    last: Tensor

    def __init__(self, functions: Sequence[Cells], device: torch.device | None):
        super().__init__()
        cells = nn.utils.rnn.pad_sequence([table.rows for table in functions], batch_first=True)
        last = torch.tensor([len(table.rows) - 1.0 for table in functions])[:, None, None]
        self.register_buffer("cells", cells.to(device), persistent=False)
        self.register_buffer("last", last.to(device), persistent=False)

    def look_up(self, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cells' values at their left edges, and their changes; all [model, out, in]."""
        index = cell.long().flatten(1)
        value, change = (
            self.cells[..., column].gather(1, index).view_as(cell) for column in (0, 1)
        )
        return value, change


class SampledResponses(nn.Module):
    """The measured responses f of an ensemble's networks, which may differ in their points.

    by_voltage: the function from f - start to a position on the curve, counted in cells of
    `by_pulses`; by_pulses: the function from that position to f - start. Buffers float32
    [model, 1, 1]: `start` is f(0); `cells_per_voltage` and `cells_per_pulse` are the widths of the
    cells, inverted.
    """

    start: Tensor
    cells_per_voltage: Tensor
    cells_per_pulse: Tensor

    def __init__(self, responses: Sequence[Table], device: torch.device | None = None):
        super().__init__()
        start, by_voltage, by_pulses = zip(*map(resampled, responses), strict=True)
        self.by_voltage = SampledFunctions(by_voltage, device)
        self.by_pulses = SampledFunctions(by_pulses, device)
        for name, numbers in (
            ("start", start),
            ("cells_per_voltage", [table.per_unit for table in by_voltage]),
            ("cells_per_pulse", [table.per_unit for table in by_pulses]),
        ):
            values = torch.tensor(numbers, dtype=torch.float32, device=device)[:, None, None]
            self.register_buffer(name, values, persistent=False)

    @property
    def shape(self) -> tuple[int, int]:
        """The largest numbers of cells, on which compiled programs depend."""
        return self.by_voltage.cells.shape[1], self.by_pulses.cells.shape[1]

    @property
    def constants(self) -> dict[str, Tensor]:
        """The numbers of the formula, [model, 1, 1], by the names in CONSTANTS."""
        lasts = self.by_voltage.last, self.by_pulses.last
        scales = self.start, self.cells_per_voltage, self.cells_per_pulse
        return dict(zip(CONSTANTS, (*scales, *lasts), strict=True))

    @property
    def tables(self) -> tuple[Tensor, Tensor]:
        """The cells, [model, cell, 2], in the order of TABLES."""
        return self.by_voltage.cells, self.by_pulses.cells

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Return the Hall voltage [model, out, in] after further pulses; see Response."""
        return after(voltage, pulses, self)
