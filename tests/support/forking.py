"""Whether runs on this machine train in workers; found out before anything is computed."""

import pytest

from models.matmul import repeats_itself
from utils.compute.worker import holds_in_fork

needs_workers = pytest.mark.skipif(
    not holds_in_fork(lambda: repeats_itself(24, 1024, 128, 2)),
    reason="needs Linux, and products that do not depend on the number of threads",
)
