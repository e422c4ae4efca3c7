"""Repeats the numbers of the READMEs that take minutes, and compares them with the text.

    python -m tests.benchmarks.check_readme [FOLDER]

FOLDER keeps the networks, so that a second call takes seconds; by default it is a temporary one.
The example device is fitted, the demo and the two commands of the README run as they stand. Each
number is read out of the README and compared within its stated spread, but not more closely than
two test images of Digits: sums are rounded differently on other processors. The exit code is 1 if
one differs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TWO_IMAGES = 2 * 100 / 297  # points of accuracy
NUMBER = r"[+-]?\d+\.\d+"


@dataclass(frozen=True)
class Claim:
    """A number of a text, the same number as it is found now, and how far they may be apart."""

    what: str
    stated: float
    found: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return abs(self.stated - self.found) <= self.tolerance

    def __str__(self) -> str:
        verdict = "holds  " if self.holds else "DIFFERS"
        return (
            f"{verdict} {self.what}: stated {self.stated:g}, found {self.found:g} "
            f"(within {self.tolerance:.2g})"
        )


def run(command: str) -> str:
    """What a command of the project prints, run from its root with this Python."""
    environment = os.environ | {"PYTHON": sys.executable}
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    print(f"$ {command}", flush=True)
    words = {"shell": True, "cwd": PROJECT, "env": environment, "text": True, "check": True}
    return subprocess.run(command, stdout=subprocess.PIPE, **words).stdout


def parts(pattern: str, text: str) -> tuple[str, ...]:
    """What the groups of a pattern find in a text. Raises ValueError if it finds nothing."""
    found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"the text has nothing like {pattern}")
    return found.groups()


def numbers(pattern: str, text: str) -> list[float]:
    """The numbers that the groups of a pattern find in a text; raises ValueError."""
    return [float(number.replace("−", "-")) for number in parts(pattern, text)]


def check_fit(folder: Path) -> Iterator[Claim]:
    """The flags of the example device, which stand in devices/README.md."""
    command = "python -m utils.measured figures/example-device.csv --name example-device"
    printed = run(f"{command} --output_dir {folder}")
    flags = [rf"--{name} ({NUMBER})" for name in ("var", "resistor_noise", "write_noise")]
    text = (PROJECT / "devices" / "README.md").read_text()
    for flag in flags:
        (stated,), (found,) = numbers(flag, text), numbers(flag, printed)
        yield Claim(f"example device, {flag.split()[0]}", stated, found, 0.01 * stated)


def check_demo(folder: Path) -> Iterator[Claim]:
    """The table of `make demo`, whose command stands in the Makefile, and a network's files."""
    lines = (PROJECT / "Makefile").read_text().replace("\\\n", "")
    (demo,) = parts(r"^demo:.*?main\.py (.*?)$", lines)
    printed = run(f"python main.py {demo} --resume --output_dir {folder / 'demo'}")
    text = (PROJECT / "README.md").read_text()
    for field in ("double-linear", "double-exponential"):
        row = rf"{field} +2000 .*?({NUMBER}) ± ({NUMBER})  ({NUMBER}) ± ({NUMBER})"
        stated, found = numbers(row, text), numbers(row, printed)
        for k, what in ((0, "accuracy"), (2, "relaxed")):
            spread = max(TWO_IMAGES, 2 * stated[k + 1])
            yield Claim(f"demo, {field}, {what}", stated[k], found[k], spread)
    networks = list((folder / "demo").glob("*/*.json"))
    size = sum(path.stat().st_size for path in (folder / "demo").rglob("*") if path.is_file())
    (stated,) = numbers(r"default size takes (\d+) MB", text)
    yield Claim("MB of a network", stated, round(size / len(networks) / 1e6, 2), 0.5)


def check_own_device(folder: Path) -> Iterator[Claim]:
    """The verdict on the example device, by the second of the two commands."""
    text = (PROJECT / "README.md").read_text()
    (flags,) = parts(r"^figures/own-device\.sh my-devices/example-device\.json ([^\n]*)$", text)
    out = folder / "own-device"
    run(f"figures/own-device.sh {folder}/example-device.json {flags} --output_dir {out}")
    printed = run(f"python -m utils.plots --simulations {out} --figures {folder / 'figures'}")
    (verdict,) = parts(r"^(example-device .*?)^\S", printed)
    against = rf"than {{}}: ({NUMBER}) points \(95 %: ({NUMBER}) to ({NUMBER})"
    linear, low, high = numbers(against.format("linear"), verdict)
    (stated,) = numbers(rf"\(250\) is ({NUMBER}) points\s+worse than the linear", text)
    yield Claim("example minus linear, each at its best", -stated, linear, (high - low) / 2)
    (at_5000,) = numbers(rf"equal steps ({NUMBER}) points \(5000\)", verdict)
    (stated,) = numbers(rf"At 5000 it is ({NUMBER}) points worse", text)
    yield Claim("example minus linear at 5000", -stated, at_5000, TWO_IMAGES)
    alike, low, high = numbers(against.format(r"exponential \(same range\)"), verdict)
    (stated,) = numbers(rf"is equally good \(({NUMBER}) points", text)
    yield Claim("example minus exponential", stated, alike, (high - low) / 2)


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).absolute()
        claims = []
        for check in (check_fit, check_demo, check_own_device):
            for claim in check(folder):
                claims.append(claim)
                print(claim, flush=True)
    n_wrong = sum(not claim.holds for claim in claims)
    print(f"{len(claims) - n_wrong} of {len(claims)} numbers hold")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
