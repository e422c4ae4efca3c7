"""Checks before a job trains on a GPU that its first steps agree with plain PyTorch there.

The networks take their first steps as in training, from the graph that will train them, and a test;
then the same without compiler and graph, with the same draws. Changes are compared by norms, since
rounding decides whether a ReLU near zero is active and whether a request just reaches the smallest
pulse. That plain PyTorch on a GPU agrees with the CPU is a test: `pytest -m gpu`.
"""

from copy import copy

import torch
from torch import Tensor

from utils.compute.compiler import Compiler, first_line
from utils.compute.cuda_graph import WARM_UP
from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.console import log
from utils.errors import UserError
from utils.training.evaluation import outputs
from utils.training.trainer import Trainer

STEPS = 2  # so that a graph that repeats one mini-batch or one draw is noticed
TOLERANCE = {False: 0.02, True: 0.15}  # of the norm of a change, without and with TF32
ROUNDINGS = 4  # roundings of a value, which are allowed in its change as well


def verify(trainer: Trainer) -> None:
    """Set a trainer, before it trains, to the fastest stage that agrees with plain PyTorch.

    A stage is compiled or uncompiled steps, from a graph or one by one; a change of it is logged,
    and the networks stay. Raises UserError if even plain PyTorch fails, and OutOfMemoryError.
    """
    graphed, first = trainer.graphed, ""
    while True:
        stage = "compiled steps" if trainer.compiler.enabled else "uncompiled steps"
        stage += " from a CUDA graph" if trainer.graphed else " called one by one"
        if (mismatch := first_mismatch(trainer)) is None:
            break
        reason = f"on this GPU {stage} {mismatch}"
        first = first or reason
        if not (trainer.graphed or trainer.compiler.enabled):
            raise UserError(f"{reason}; try another PyTorch or another driver, or --device cpu")
        if not trainer.graphed:
            trainer.compiler.fall_back(first)
        trainer.use_graph(graphed and not trainer.graphed)
    if first:
        log(f"{first}; the run goes on with {stage}, which do not")


@torch.no_grad()
def first_mismatch(trainer: Trainer) -> str | None:
    """Return the first difference of a trainer's stage from plain PyTorch; None if there is none.

    If the field is switched, both phases are tried, the first phase last: its graph then trains.
    """
    for phase in reversed(range(trainer.ensemble.phase, len(trainer.ensemble.phases))):
        after = " after the switch of the field" * (phase > 0)
        try:
            with memory_errors(), trainer.undone():
                trainer.enter(phase, switch=True)
                if mismatch := compare(trainer):
                    return f"differ from plain PyTorch's{after} ({mismatch})"
        except OutOfMemoryError:
            raise
        except Exception as error:  # whatever CUDA, a compiled program or its compiler raises
            return f"fail{after} ({first_line(error)})"
    return None


def compare(trainer: Trainer) -> str | None:
    """Return the first tensor that differs from plain steps, and by how much; None if none."""
    ensemble, first_step = trainer.ensemble, trainer.step

    def copies() -> dict[str, Tensor]:  # on the CPU, since a job may fill the GPU's memory
        return {name: buffer.to("cpu", copy=True) for name, buffer in ensemble.named_buffers()}

    def outcome(trainer: Trainer) -> dict[str, Tensor]:
        for steps in (*[1] * (WARM_UP + 1) * trainer.graphed, STEPS):  # the last are replays
            trainer.step = first_step
            for name, tensor in ensemble.named_buffers():
                tensor.copy_(start[name])
            for _ in range(steps):
                trainer.learn()
        tests = [output.cpu() for output in outputs(ensemble, trainer.currents, trainer.compiler)]
        return copies() | {"voltages of the test": torch.cat(tests, dim=-1)}

    start, plain_trainer = copies(), copy(trainer)  # of the same ensemble
    plain_trainer.compiler, plain_trainer.graphed_step = Compiler(enabled=False), None
    actual, tolerance = outcome(trainer), TOLERANCE[trainer.members[0].setting.tf32]
    for name, plain in outcome(plain_trainer).items():
        before = start.get(name, torch.zeros_like(plain)).double()
        same = torch.isclose(actual[name], plain, rtol=0, atol=0, equal_nan=True)
        off = torch.where(same, 0, actual[name].double() - plain.double()).norm()
        rounding = ROUNDINGS * torch.finfo(plain.dtype).eps if plain.is_floating_point() else 0.0
        allowed = tolerance * (plain.double() - before).nan_to_num().norm()
        allowed += rounding * before.nan_to_num().norm()
        if not off <= allowed:
            return f"{name}: off by {off:.2g}, rounding makes up to {allowed:.2g}"
    return None
