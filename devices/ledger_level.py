"""The level of the ledger: how much of the cost of learning is counted. Torch is not imported."""

from __future__ import annotations

from enum import IntEnum


class LedgerLevel(IntEnum):
    """Each level counts what the one before does."""

    NOTHING = 0
    TOTALS = 1  # of every layer and epoch
    WEAR = 2  # of every single device in its life, too
