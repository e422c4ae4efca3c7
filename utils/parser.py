"""The command line. Torch is not imported here, so that an answer comes at once."""

from __future__ import annotations

import argparse
import os
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from devices import FIELDS
from utils.errors import UserError
from utils.settings import TASKS, VOLTAGE_PER_RESISTOR_NOISE, Run, Setting, sweep

DESCRIPTION = """\
Train networks whose weights are pairs of magneto-ionic devices, W = w2 - w1, and record how well
they learn. Flags marked [...] take one or more values: every combination is a setting, and one
command trains all settings and seeds.

example: python main.py --lr 500 1000 --field double-linear double-exponential --task Digits
"""


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, and the flag that was meant for one mistyped."""

    def __init__(self):
        super().__init__(
            prog="main.py",
            description=DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        first = os.environ.get("RANK", "0") == "0"  # one line, however many processes there are
        self.exit(2, f"{self.prog}: error: {message}\n" if first else None)

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        parsed, unknown = self.parse_known_args(args, namespace)
        flags = [word for word in unknown if word.startswith("-")]
        if flags:
            self.error(self.hint(flags[0].split("=")[0]))
        if unknown:
            self.error(f"unexpected '{unknown[0]}': a value needs its flag before it; see --help")
        return parsed

    def hint(self, flag: str) -> str:
        """What to say to a flag that does not exist."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        meant = flag.lower().lstrip("-").replace("-", "_")
        close = [k for k in known if meant and k.startswith(f"--{meant}")]
        close += get_close_matches(f"--{meant}", known, n=1, cutoff=0.7)
        return f"unknown flag {flag}; " + (f"did you mean {close[0]}?" if close else "see --help")


def make_parser() -> Parser:
    parser = Parser()
    physics = parser.add_argument_group("device physics")
    network = parser.add_argument_group("network")
    training = parser.add_argument_group("training")
    run = parser.add_argument_group("run")

    def add(group, flag, default, text, metavar=None):
        """A flag of the type of its default; a list of them where the default is a list."""
        many = isinstance(default, list)
        kind = type(default[0] if many else default)
        shown = " ".join(map(str, default)) if many else default
        group.add_argument(
            flag,
            default=default,
            type=Path if isinstance(default, Path) else kind,
            nargs="+" if many else None,
            metavar=metavar or {float: "X", int: "N"}[kind],
            help=f"{text} (default: {shown})",
        )

    fields, tasks = ", ".join(FIELDS), ", ".join(TASKS)
    add(physics, "--field", ["double-linear"], f"[...] device response: {fields}", "FIELD")
    add(physics, "--var", [0.2], "[...] sigma_device, relative spread of the devices' slopes")
    add(physics, "--resistor_noise", [0.0], "[...] sigma_r, read noise of one device, arb. u.")
    physics.add_argument(
        "--voltage_noise",
        type=float,
        metavar="X",
        help="sigma_v, noise on every output voltage, arb. u. "
        f"(default: {VOLTAGE_PER_RESISTOR_NOISE:g} x resistor_noise)",
    )
    add(physics, "--clipping", [0.0], "[...] smallest pulse that can be applied, pulses")
    add(physics, "--init", 0.01, "half-width of the fresh weights, arb. u.")

    add(network, "--layers", [512], "hidden layer sizes, one or more")
    add(network, "--input_scale", 0.001, "current per unit of activation")
    add(network, "--padding", 2, "zero pixels added on each side of an image")

    add(training, "--lr", [1000.0], "[...] learning rate, pulses per unit of gradient")
    add(training, "--epochs", 20, "passes over the training set")
    add(training, "--batch_size", 128, "images per update")
    add(training, "--n_models", 10, "networks per setting, seeded seed, seed + 1, ...")
    add(training, "--seed", 100, "seed of the first network")

    add(run, "--task", "MNIST", f"data set: {tasks}; Digits needs no download", "TASK")
    add(run, "--data_dir", Path("datasets"), "folder of the data sets", "DIR")
    add(run, "--output_dir", Path("simulations"), "folder of the results", "DIR")
    add(run, "--device", "auto", "auto (CUDA where it is), cpu, cuda, cuda:1, ...", "DEVICE")
    add(run, "--compile", "auto", "compile the steps: on, off, auto (if the run is long)", "WHEN")
    run.add_argument(
        "--tf32",
        action="store_true",
        help="on a GPU, multiply in TF32: faster, with 10 bits of mantissa (default: float32)",
    )
    add(run, "--checkpoint_minutes", 5.0, "longest training between two checkpoints")
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on in the folders that hold these settings, training only what is missing",
    )
    run.add_argument(
        "--dry_run",
        action="store_true",
        help="print what would be trained, where, and about how long it takes; train nothing",
    )
    return parser


def parse(args: list[str] | None = None) -> Run:
    """The run that the command line asks for; exits with code 2 and one line on any mistake."""
    parser = make_parser()
    flags = parser.parse_args(args)
    try:
        return run_of(flags)
    except UserError as error:
        parser.error(str(error))


def run_of(flags: argparse.Namespace) -> Run:
    combinations = sweep(
        {
            "field": flags.field,
            "var": flags.var,
            "resistor_noise": flags.resistor_noise,
            "clipping": flags.clipping,
            "lr": flags.lr,
        }
    )
    settings = []
    for chosen in combinations:
        voltage_noise = flags.voltage_noise
        if voltage_noise is None:
            voltage_noise = VOLTAGE_PER_RESISTOR_NOISE * chosen["resistor_noise"]
        settings.append(
            Setting(
                task=flags.task,
                voltage_noise=voltage_noise,
                seed=flags.seed,
                epochs=flags.epochs,
                batch_size=flags.batch_size,
                layers=tuple(flags.layers),
                init=flags.init,
                input_scale=flags.input_scale,
                padding=flags.padding,
                tf32=flags.tf32,
                **chosen,
            )
        )
    return Run(
        settings=tuple(settings),
        n_models=flags.n_models,
        device=flags.device,
        data_dir=flags.data_dir,
        output_dir=flags.output_dir,
        compile=flags.compile,
        checkpoint_minutes=flags.checkpoint_minutes,
        resume=flags.resume,
        dry_run=flags.dry_run,
    )
