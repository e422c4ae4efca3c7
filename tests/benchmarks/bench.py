"""Time the engine against plain PyTorch and against the floor, in turn, in one run.

    make bench                                    # MNIST if it is in datasets/, else its like
    make bench BENCH="--data_dir DIR --repeats 9"
    make bench BENCH="--data_dir DIR --schemes"   # cells and rules of programming alone

A model-epoch is the training of one network over 60 000 images in batches of 128 (469 updates),
without the test. Times are medians over repeats, with the range; the subjects take turns within
each repeat, so that a machine that changes its speed changes it for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from models.currents import Currents
from tests.benchmarks.beside import beside
from tests.benchmarks.engines import Engines
from tests.benchmarks.profile import profile_step
from tests.benchmarks.schemes import scheme_ratios
from tests.benchmarks.subjects import (
    FIGURE_1,
    Ideal,
    Images,
    Loop,
    Ours,
    Products,
    SparseProducts,
    currents_of,
    data_set,
)
from tests.benchmarks.timing import UPDATES, measure, print_rows, seconds_of
from utils.compute.distributed import World
from utils.compute.processor import choose_device, hardware
from utils.study import FIELDS

COMPARED = {"cpu": (1, 10), "cuda": (1, 10, 120)}  # numbers of networks
SCALED = {"cpu": (1, 2, 5, 10, 20, 40), "cuda": (1, 10, 30, 60, 120, 240)}
WEIGHED = {"cpu": (1, 10, 20), "cuda": (1, 60, 120)}  # for their memory
HIDDEN = (128, 256, 512, 1024, 2048)
DEPTHS = (1, 2, 3)  # hidden layers of 256
RATED = {"cpu": (2048, 64 << 20), "cuda": (8192, 1 << 30)}  # rows of a product, numbers of a copy


def compare(
    currents: Currents, dense: Currents, networks: int, engines: Engines, options, device
) -> list[dict]:
    """The engine, what it replaces, the ideal, and the floor."""
    images = Images.of(dense, FIGURE_1.input_scale)
    subjects = [
        Loop(FIGURE_1, images),
        Ideal(FIGURE_1, images),
        Products(FIGURE_1, dense, networks, "torch.matmul"),
        Products(FIGURE_1, dense, networks, "the engine's"),
        engines.of(networks),
    ]
    if currents.product == "sparse":
        subjects.append(SparseProducts(FIGURE_1, currents, networks))
    if networks in engines.spread:
        subjects.append(Ours(FIGURE_1, currents, networks, options.compiled))
    return measure(subjects, options.repeats, options.seconds, device)


def scaling(currents: Currents, engines: Engines, options, device) -> dict[str, list[dict]]:
    """The engine against the number of networks and against the hidden size."""
    by_networks = measure(
        [engines.of(count) for count in SCALED[device.type]],
        options.repeats,
        options.seconds / 2,
        device,
    )
    by_size = []
    for size in HIDDEN:
        subject = Ours(replace(FIGURE_1, layers=(size,)), currents, 1, options.compiled)
        rows = measure([subject], options.repeats, options.seconds / 2, device)
        by_size.append(rows[0] | {"hidden": size})
    by_depth = []
    for depth in DEPTHS:
        subject = Ours(replace(FIGURE_1, layers=(256,) * depth), currents, 1, options.compiled)
        rows = measure([subject], options.repeats, options.seconds / 2, device)
        by_depth.append(rows[0] | {"layers": depth})
    return {"networks": by_networks, "hidden": by_size, "depth": by_depth}


def rates(device: torch.device) -> dict[str, float]:
    """Return the machine's rates: float32 products in FLOP/s, copies in bytes per second."""
    n, numbers = RATED[device.type]
    a, b = (torch.randn(n, n, device=device) for _ in range(2))
    source = torch.randn(numbers, device=device)
    target = torch.empty_like(source)

    def best(run, repeats=5) -> float:
        seconds_of(run, 1, device)
        return statistics.median(seconds_of(run, 1, device) for _ in range(repeats))

    return {
        "flops": 2 * n**3 / best(lambda _: torch.mm(a, b)),
        "bytes": 8 * source.numel() / best(lambda _: target.copy_(source)),
    }


def floor(currents: Currents, products: float, machine: dict[str, float]) -> float:
    """Seconds per model-epoch below which no engine gets: products, or bytes of the update."""
    weights = FIGURE_1.layers[0] * len(currents.active_inputs.active)
    update = 7 * 4 * weights * UPDATES / machine["bytes"]  # w1, w2, v1, v2, g; w1, w2 back
    return max(products, update)


def peak_memory(options, networks: int) -> int:
    """Bytes at the peak of a process of its own that trains so many networks."""
    module = "tests.benchmarks.memory"
    arguments = [str(options.data_dir), str(networks), options.device, str(options.compiled)]
    command = [sys.executable, "-m", module, *arguments]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def comparisons(
    currents: Currents, dense: Currents, engines: Engines, machine: dict, options, device
) -> dict:
    """`compare` for each number of networks, printed as it comes, with the floor."""
    result = {}
    for networks in COMPARED[device.type]:
        rows = compare(currents, dense, networks, engines, options, device)
        print_rows(f"{networks} network{'s' * (networks > 1)} of figure 1", rows)
        medians = {row["subject"]: row["median"] for row in rows}
        kind = "sparse" if currents.product == "sparse" else "the engine's"
        bound = floor(currents, medians[f"two products ({kind})"], machine)
        print(f"floor {bound:.3f} s: {100 * bound / medians['engine']:.0f} % of it is reached")
        result |= {f"compare_{networks}": rows, f"floor_{networks}": bound}
    return result


def schemes(currents: Currents, options, device) -> dict[str, dict]:
    """`scheme_ratios` of both fields, printed."""
    result = {}
    for field in FIELDS:
        ratios = scheme_ratios(field, currents, options, device)
        print_numbers(f"step of {field}, against that of the paper's scheme", ratios, ".2f")
        result[field.name] = ratios
    return result


def print_numbers(title: str, numbers: dict, form: str) -> None:
    print(f"\n{title}")
    for name, number in numbers.items():
        print(f"{name:>28}  {format(number, form)}")
    sys.stdout.flush()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path, default=Path("datasets"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one sample")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--schemes", action="store_true", help="time cells and rules alone")
    parser.add_argument("--uncompiled", dest="compiled", action="store_false")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    device = choose_device(options.device, options.tf32)
    cores = World().take_cores()
    data, source = data_set(options.data_dir)
    currents, dense = currents_of(data, device), currents_of(data, device, batch_size=1)
    counts = {*COMPARED[device.type], *SCALED[device.type]}
    with Engines(FIGURE_1, currents, counts, options.compiled, cores) as engines:
        torch.set_num_threads(cores)  # from here on nothing is forked
        machine = rates(device)
        print(
            f"{hardware(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
            f"{source}\nproducts {machine['flops'] / 1e9:.0f} GFLOP/s, "
            f"copies {machine['bytes'] / 1e9:.0f} GB/s, {options.repeats} repeats, "
            f"engine {'' if options.compiled else 'not '}compiled"
        )
        about = {"device": hardware(device), "torch": torch.__version__, "data": source}
        result = about | {"compiled": options.compiled} | machine
        if options.schemes:
            schemes(currents, options, device)
            return
        result |= comparisons(currents, dense, engines, machine, options, device)
        result["scaling"] = scaling(currents, engines, options, device)

        result["schemes"] = schemes(currents, options, device)

    times = {row["networks"]: row["median"] for row in result["scaling"]["networks"]}
    print_numbers("engine against the number of networks, s/model-epoch", times, ".3f")
    times = {row["hidden"]: row["median"] for row in result["scaling"]["hidden"]}
    print_numbers("engine against the hidden size, 1 network, s/model-epoch", times, ".3f")
    times = {row["layers"]: row["median"] for row in result["scaling"]["depth"]}
    print_numbers("engine against hidden layers of 256, 1 network, s/model-epoch", times, ".3f")
    result["memory"] = {count: peak_memory(options, count) for count in WEIGHED[device.type]}
    peaks = {count: peak / 2**20 for count, peak in result["memory"].items()}
    print_numbers("peak memory against the number of networks, MiB", peaks, ".0f")
    if options.compiled:  # only then do the kernels' names describe their purpose
        result["profile"] = profile_step(FIGURE_1, currents, device)
        print_numbers("where the time of a step goes, us", result["profile"], ".0f")
    if device.type == "cpu":
        result["beside"] = beside(min(3, options.repeats))
        print_numbers("two runs at once, against one alone", result["beside"], ".2f")
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
