"""Peak memory of a run that trains and tests some networks, all its processes: prints bytes.

python -m tests.benchmarks.memory DATA_DIR NETWORKS DEVICE COMPILED
"""

import os
import resource
import sys
import threading
import time
from pathlib import Path

import torch

from tests.benchmarks.engines import Engines, Spread
from tests.benchmarks.subjects import FIGURE_1, currents_of, data_set
from utils.compute.distributed import World
from utils.compute.processor import choose_device

INTERVAL = 0.05  # seconds between two looks


class Watch(threading.Thread):
    """Looks again and again at what some processes have in memory together; `peak` in bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.pids = 0, [os.getpid()]

    def look(self) -> None:
        self.peak = max(self.peak, sum(map(resident, self.pids)))

    def run(self) -> None:
        while True:
            self.look()
            time.sleep(INTERVAL)


def resident(pid: int) -> int:
    """Bytes that a process has in memory; of those that it shares with others, its part.

    On other systems than Linux, which do not report it, the peak of this process.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def main() -> None:
    data_dir, networks = Path(sys.argv[1]), int(sys.argv[2])
    watch = Watch()
    watch.start()
    device = choose_device(sys.argv[3])
    cores = World().take_cores()
    currents = currents_of(data_set(data_dir)[0], device)
    with Engines(FIGURE_1, currents, {networks}, sys.argv[4] == "True", cores) as engines:
        torch.set_num_threads(cores)
        engine = engines.of(networks)
        if isinstance(engine, Spread):
            watch.pids += [worker.pid for worker in engine.workers]
        engine.run(5)
        engine.test()
        watch.look()
        print(torch.cuda.max_memory_allocated(device) if device.type == "cuda" else watch.peak)


if __name__ == "__main__":
    main()
