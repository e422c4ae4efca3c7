"""Before a job trains on a GPU: are its first steps those of plain PyTorch on the CPU?

The job's networks take a few steps as they will in training: the same ensemble, compiled, from the
very graph that trains it afterwards; then a test. One of them is followed on the CPU, eagerly and
in double precision, with the same draws: some of the steps, each from where the GPU stood before
it, so that rounding does not grow. Values are set so that every part of the physics is large beside
rounding, whatever the run's own are: voltages all over the range, noises as large as what they are
added to, requests of pulses of which some are below the smallest.

Rounding decides which way a ReLU near zero goes, and that changes a gradient by a sample's part. So
gradients are compared by norms over all steps; the pairs, which follow from the GPU's own
gradients, one by one, but for a few at the edge of a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from devices.noise import Stream
from devices.pair import PairState, per_network
from devices.programming import physically_clipped
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.cuda_graph import WARM_UP
from utils.compute.kernel_builder import plain
from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.console import log
from utils.errors import UserError
from utils.settings import amount_of_physics
from utils.training.differences import Differences, MismatchError
from utils.training.ensemble import Ensemble
from utils.training.evaluation import TEST_BATCH, evaluate, outputs
from utils.training.slices import restore, slice_of
from utils.training.step import differentiate, weight_gradients
from utils.training.trainer import Trainer

STEPS = WARM_UP + 4  # so that four are replays
FOLLOWED = (0, WARM_UP + 1, STEPS - 1)  # a call and two replays
TESTED = 2 * TEST_BATCH  # images
REQUEST = 5.0  # pulses, the mean of a layer
NOISE = 1.0  # of what it is added to
WRITE_NOISE = 0.05  # of the range
EAGER = Compiler(enabled=False)


def verify(trainer: Trainer) -> None:
    """Bring a trainer, before it trains, to the fastest stage that computes as the CPU does.

    The stages: compiled or eager steps, each from a graph or call by call. Where it is not that at
    which the trainer stands, one line says so. The networks stay as they are. Raises UserError if
    even plain PyTorch differs, and OutOfMemoryError.
    """
    reasons: list[str] = []
    stages = (True, False) if trainer.graphed else (False,)  # from a graph, or call by call
    for compiled in (True, False) if trainer.compiler.enabled else (False,):
        if not compiled and trainer.compiler.enabled:
            trainer.compiler.fall_back(reasons[0])
        for graphed in stages:
            if reasons:
                trainer.use_graph(graphed)
            reason = trouble(trainer)
            if reason is None:
                if reasons:
                    log(f"{reasons[0]}; the run goes on with {stage(trainer)}, which do not")
                return
            reasons.append(f"on this GPU {stage(trainer)} {reason}")
    raise UserError(
        f"{reasons[-1]}, and results would be wrong; try another version of PyTorch or of the "
        "driver, or --device cpu"
    )


def stage(trainer: Trainer) -> str:
    """How its steps run."""
    steps = "compiled steps" if trainer.compiler.enabled else "uncompiled steps"
    return steps + (" from a CUDA graph" if trainer.graphed else " called one by one")


@torch.no_grad()
def trouble(trainer: Trainer) -> str | None:
    """What is wrong with the stage at which a trainer stands; None if all is as on the CPU.

    Of a field that will be switched both phases are looked at, the first one last: its graph is
    then the one that trains.
    """
    for phase in reversed(range(trainer.ensemble.phase, len(trainer.ensemble.phases))):
        after = " after the switch of the field" * (phase > 0)
        try:
            with memory_errors(), trainer.undone(), plain(), one_thread():
                trainer.enter(phase, switch=True)
                compare(trainer)
        except OutOfMemoryError:
            raise
        except MismatchError as difference:
            return f"differ from the CPU's{after} ({difference})"
        except Exception as error:  # whatever CUDA, a compiled program or its compiler raises
            lines = [line for line in str(error).splitlines() if line.strip()]
            return f"fail{after} ({lines[0].strip() if lines else type(error).__name__})"
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Beside other processes many threads are slow, and what is computed here is little."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def compare(trainer: Trainer) -> None:
    """Train a few steps and test, here and on the CPU; raises MismatchError."""
    ensemble, model = trainer.ensemble, followed(trainer)
    member, size = trainer.members[model], trainer.batch_size
    excerpt = trainer.currents.excerpt(STEPS * size, TESTED, torch.device("cpu"))
    reference = Ensemble.fresh([member], excerpt, ensemble.ledger.level).double()
    if ensemble.phase:
        reference.switch()
    span = ensemble.phases[ensemble.phase].devices[model].response.span
    differences = Differences(span, member.setting.tf32)
    differences.add_pairs(slice_of(ensemble, model), slice_of(reference, 0))
    set_values(ensemble, reference, excerpt.inputs.train[:size])
    inputs = replace(excerpt, inputs=excerpt.inputs.double())
    for step in range(STEPS):
        if step not in FOLLOWED:
            # Without pulses, of which steep devices might never come back into their range.
            fill(ensemble.programming.learning_rate, 0.0)
            trainer.learn()
            continue
        spread(ensemble, step)
        before = slice_of(ensemble, model)
        restore(reference, [before])
        number = step % trainer.per_epoch
        current, labels = inputs.batch(number, size)
        loss, by_voltage, currents = differentiate(
            reference.network, reference.history.step, current, labels
        )
        factors = [*by_voltage, *currents[1:]]
        expected = weight_gradients(reference.network, current, factors)
        set_learning(ensemble, reference, expected, FOLLOWED.index(step))
        factors = trainer.learn()  # of all networks
        current, _ = trainer.currents.batch(number, size)
        gradients = weight_gradients(ensemble.network, current, factors)
        mine = [gradient[model : model + 1].cpu().double() for gradient in gradients]
        for layer, pair in enumerate(zip(mine, expected, strict=True), 1):
            differences.add(f"gradients of layer {layer}", *pair)
        write(reference, mine)
        reference.history.count(loss)
        after = slice_of(ensemble, model)
        differences.add(
            "loss of a step", after["history.loss_sum"] - before["history.loss_sum"], loss[0]
        )
        differences.add_pairs(after, slice_of(reference, 0))
        differences.add_statistics(after, slice_of(reference, 0))
        differences.add_costs(before, after, slice_of(reference, 0))
        for number, layer in enumerate(ensemble.network.layers, 1):
            difference = layer.pairs.weight2[model] - layer.pairs.weight1[model]
            differences.add_voltages(f"pairs of layer {number}", layer.weight[model], difference)
    differences.add_count("steps", abs(int(ensemble.history.step) - STEPS) * STEPS, STEPS)
    ensemble.close_epoch(0, STEPS, gradients)
    reference.close_epoch(0, STEPS, expected)
    mine, theirs = ensemble.history, reference.history
    differences.add("loss", mine.losses[model, 0], theirs.losses[0, 0])
    differences.add("pulse request", mine.pulse_requests[model, 0], theirs.pulse_requests[0, 0])
    if ensemble.ledger.accounts:
        mine, expected = (each.ledger.history for each in (ensemble, reference))
        differences.add("pulses of an epoch", mine[model, 0, :, 0], expected[0, 0, :, 0])
    compare_tests(trainer, model, reference, inputs, differences)
    differences.check()


def followed(trainer: Trainer) -> int:
    """Number of the network with most of the physics; of equals the last: no address is zero."""

    return max(
        range(len(trainer.members)),
        key=lambda model: (amount_of_physics(trainer.members[model].setting), model),
    )


def compare_tests(
    trainer: Trainer, model: int, reference: Ensemble, inputs: Currents, differences: Differences
) -> None:
    """A test of a few images, with the pairs as the GPU has them."""
    ensemble = trainer.ensemble
    restore(reference, [slice_of(ensemble, model)])
    excerpt = trainer.currents.excerpt(0, TESTED, trainer.currents.device)
    mine = [each[model].cpu().double() for each in outputs(ensemble, excerpt, trainer.compiler)]
    expected = [each[0] for each in outputs(reference, inputs, EAGER)]
    mine, expected = torch.cat(mine, dim=-1), torch.cat(expected, dim=-1)  # [class, image]
    differences.add("output voltages of the test", mine, expected)
    # Where two voltages are nearer than rounding moves them, it decides what an image is taken for.
    best = expected.topk(min(2, len(expected)), dim=0).values
    moved = (mine - expected).abs().amax(dim=0)
    undecided = int((best[0] - best[-1] <= 2 * moved).sum())
    n_images = len(inputs.test_labels)
    accuracy = float(evaluate(ensemble, excerpt, trainer.compiler)[model])
    right = int((expected.argmax(dim=0) == inputs.test_labels).sum())
    wrong = abs(round(accuracy * n_images) - right)
    differences.add_count("images recognised in the test", wrong, n_images, undecided)


def set_values(ensemble: Ensemble, reference: Ensemble, current: Tensor) -> None:
    """Make noises, of networks that have them, as large as what they are added to.

    W is about 0.4 spans once it is spread, and V that times the length of an input; the running
    variances start from there. Compiled programs and graphs read all that in the ensemble's
    buffers. current: of some images, [n, in].
    """
    (response,) = reference.phases[reference.phase].responses
    weight, gain = 0.4 * response.span, reference.network.physics.gain
    voltage = weight * float(current.norm(dim=1).mean()) * (1 if gain is None else float(gain))
    for each in (ensemble, reference):
        enlarge(each.network.physics.voltage_noise, NOISE * voltage)
        enlarge(each.network.physics.resistor_noise, NOISE * weight)
        enlarge(each.network.physics.device_noise, NOISE * weight)
        enlarge(each.programming.write_noise, WRITE_NOISE * weight)
    for norm in ensemble.network.norms:
        fill(norm.running_var, voltage**2)


def spread(ensemble: Ensemble, step: int) -> None:
    """Put the voltages of all devices at random places of their range, other ones at every step.

    Networks that take large steps soon agree in all their weights, beside which noise is nothing.
    """
    generator = torch.Generator().manual_seed(step)
    for pairs in (pairs for layer in ensemble.network.layers for pairs in layer.arrays):
        w_max = pairs.responses.w_max  # [model, 1, 1]
        spans = per_network((each.span for each in pairs.responses.each), w_max.device)
        shares = (torch.rand(pairs.weight.shape[1:], generator=generator) for _ in range(2))
        pairs.put(PairState(*(w_max - spans * share.to(w_max.device) for share in shares)))


def set_learning(
    ensemble: Ensemble, reference: Ensemble, gradients: Sequence[Tensor], number: int
) -> None:
    """Such that one layer, another for each number, asks for some pulses, and all for small ones.

    A smallest pulse, half the median of the layer that asks for least, leaves some out everywhere;
    where requests are clipped physically, it is what that makes of it.
    """
    mean = float(gradients[number % len(gradients)].abs().mean())
    parts = [gradient.abs()[gradient != 0] for gradient in gradients]
    smallest = min((float(part.median()) for part in parts if len(part)), default=0.0)
    rate = REQUEST / mean if mean > 0 else 1.0
    threshold = torch.tensor(rate * smallest / 2, dtype=torch.float64)
    if reference.programming.physical is not None:
        threshold = physically_clipped(threshold)
    for each in (ensemble, reference):
        fill(each.programming.learning_rate, rate)
        fill(each.programming.clipping, float(threshold))


def write(ensemble: Ensemble, gradients: Sequence[Tensor]) -> None:
    """Program all layers as dL/dW of each asks for."""
    network, step = ensemble.network, ensemble.history.step
    for number, (layer, gradient) in enumerate(zip(network.layers, gradients, strict=True)):
        stream = Stream(network.seed, step, torch.zeros_like(step), number)
        layer.write(gradient, stream, ensemble.programming, ensemble.ledger.account(number))


def enlarge(sigma: Tensor | None, value: float) -> None:
    """A noise to this value, [model, 1, 1]; a network without it keeps none."""
    if sigma is not None:
        fill(sigma, (sigma != 0) * value)


def fill(buffer: Tensor, value: float | Tensor) -> None:
    """With the number as single precision has it, in double precision, too."""
    buffer.copy_(torch.as_tensor(value, dtype=torch.float32))
