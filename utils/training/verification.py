"""Checks before a job trains on a GPU that its first steps agree with plain PyTorch there.

The networks take their first steps as in training, compiled and from the very graph that trains
them afterwards, and are tested; then they do so without compiler and graph, with the same draws.
Changes of tensors are compared by norms, since rounding decides whether a ReLU near zero is active
and whether a request just reaches the smallest pulse. That plain PyTorch on a GPU agrees with the
CPU is a test of the project: `pytest -m gpu`.
"""

from __future__ import annotations

from copy import copy
from itertools import product

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

    The stages are compiled or uncompiled steps, each from a graph or called one by one. If the
    trainer's stage has to change, one line is logged. The networks are not changed. Raises
    UserError if even plain PyTorch fails, and OutOfMemoryError.
    """
    reasons: list[str] = []
    compiling = (True, False) if trainer.compiler.enabled else (False,)
    for compiled, graphed in product(compiling, (True, False) if trainer.graphed else (False,)):
        if reasons:
            trainer.use_graph(graphed)
        if trainer.compiler.enabled and not compiled:
            trainer.compiler.fall_back(reasons[0])
        stage = "compiled steps" if compiled else "uncompiled steps"
        stage += " from a CUDA graph" if graphed else " called one by one"
        if (reason := first_mismatch(trainer)) is None:
            if reasons:
                log(f"{reasons[0]}; the run goes on with {stage}, which do not")
            return
        reasons.append(f"on this GPU {stage} {reason}")
    raise UserError(f"{reasons[-1]}; try another PyTorch or another driver, or --device cpu")


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
        return {name: each.to("cpu", copy=True) for name, each in ensemble.named_buffers()}

    def outcome(trainer: Trainer, steps: int) -> dict[str, Tensor]:
        trainer.step = first_step
        for name, tensor in ensemble.named_buffers():
            tensor.copy_(start[name])
        for _ in range(steps):
            trainer.learn()
        tests = [each.cpu() for each in outputs(ensemble, trainer.currents, trainer.compiler)]
        return copies() | {"voltages of the test": torch.cat(tests, dim=-1)}

    start = copies()
    for _ in range(WARM_UP + 1 if trainer.graphed else 0):
        outcome(trainer, 1)  # so that the steps that are compared are replays
    actual = outcome(trainer, STEPS)
    plain_trainer = copy(trainer)  # of the same ensemble
    plain_trainer.compiler, plain_trainer.graphed_step = Compiler(enabled=False), None
    tolerance = TOLERANCE[trainer.members[0].setting.tf32]
    for name, plain in outcome(plain_trainer, STEPS).items():
        before = start.get(name, torch.zeros_like(plain)).double()
        same = (actual[name] == plain) | (actual[name].isnan() & plain.isnan())
        off = torch.where(same, 0, actual[name].double() - plain.double()).norm()
        rounding = ROUNDINGS * torch.finfo(plain.dtype).eps if plain.is_floating_point() else 0.0
        allowed = tolerance * (plain.double() - before).nan_to_num().norm()
        allowed += rounding * before.nan_to_num().norm()
        if not off <= allowed:
            return f"{name}: off by {off:.2g}, rounding makes up to {allowed:.2g}"
    return None
