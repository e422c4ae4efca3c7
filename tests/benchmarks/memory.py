"""Peak memory of one process that trains and tests some networks: prints bytes.

python -m tests.benchmarks.memory DATA_DIR NETWORKS DEVICE COMPILED
"""

import resource
import sys
from pathlib import Path

import torch

from tests.benchmarks.subjects import FIGURE_1, Ours, data_set
from utils.data.currents import Currents
from utils.hardware import choose_device
from utils.training.evaluation import evaluate
from utils.world import World


def main() -> None:
    data_dir, networks = Path(sys.argv[1]), int(sys.argv[2])
    device = choose_device(sys.argv[3], World())
    data, _ = data_set(data_dir)
    currents = Currents.of(data, FIGURE_1.padding, FIGURE_1.input_scale, device)
    subject = Ours(FIGURE_1, currents, networks, compiled=sys.argv[4] == "True")
    subject.run(5)
    for training in subject.trainings:
        evaluate(training.ensemble, currents, training.engine)
    if device.type == "cuda":
        print(torch.cuda.max_memory_allocated(device))
    else:
        print(peak_resident())


def peak_resident() -> int:
    """Bytes that this process has had in memory at most.

    On Linux from /proc, since getrusage counts the memory of the parent process in.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
