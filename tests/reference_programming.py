"""How the plain reference writes the weights of a layer after a mini-batch, in three steps.

From the gradient to pulses; these are applied to the devices that they drive; then used-up pairs
are refreshed (one-way), or devices are kept within their range (other cells).
"""

import numpy as np
from reference_noise import ROUNDING, WRITE, WRITE_RAISED, normal, uniform_of_pairs

# What devices 1 and 2 do to lower the weight, and what to raise it; None: the device rests.
MOVES = {
    "one-way": ((None, "falls"), ("falls", None)),
    "both-ways": (("rises", "falls"), ("falls", "rises")),
    "reference": ((None, "falls"), (None, "rises")),
}


def program(network, layer, gradient):
    """Write the weights of a layer once; gradient: dL/dW."""
    physics, device = network.physics, network.device
    one_way = physics.cell == "one-way"
    w = [network.w1[layer], network.w2[layer]]
    if one_way:
        w = [device.clamped(voltage) for voltage in w]
    wanted, controlled = control(network, layer, gradient)
    for k, slope in enumerate((network.v1[layer], network.v2[layer])):
        down, up = (moves[k] for moves in MOVES[physics.cell])
        falls = (wanted > 0) & (down == "falls") | (wanted < 0) & (up == "falls")
        rises = (wanted > 0) & (down == "rises") | (wanted < 0) & (up == "rises")
        if physics.is_controlled:
            asked, pulses = abs(physics.lr * gradient), controlled
            done = pulses * slope
        else:
            asked = abs(physics.lr * gradient) * slope
            done = pulses = applied(physics, asked)
        count(network, layer, k, falls, rises, asked, pulses)
        w[k] = np.where(falls, device.lowered(w[k], done), w[k])
        w[k] = np.where(rises, device.raised(w[k], done), w[k])
        # Two devices that are written at once miss by numbers of their own.
        raising = WRITE_RAISED if physics.cell == "both-ways" else WRITE
        miss = miss_of(network, layer, WRITE) * falls + miss_of(network, layer, raising) * rises
        w[k] = w[k] + miss * np.sqrt(done)
        if not one_way:
            w[k] = np.where(falls | rises, device.clamped(w[k]), w[k])
    network.w1[layer], network.w2[layer] = refresh(network, layer, *w) if one_way else w


def control(network, layer, gradient):
    """Return what decides about the direction of a write, > 0 to lower the weight, and its pulses.

    The pulses are those of a controller, which knows the request and no device; None without one.
    """
    physics, smallest = network.physics, network.physics.clipping
    wanted = physics.lr * gradient
    if not physics.is_controlled:
        return wanted, None
    if physics.accumulate:
        wanted = np.where(gradient == 0, 0, network.chi[layer] + wanted)
    size = abs(wanted)
    if physics.accumulate and physics.rounding == "nearest":
        pulses = smallest * np.floor(size / smallest)
    elif physics.accumulate:
        pulses = np.where(size >= smallest, size, 0)
    elif physics.rounding == "nearest":
        pulses = smallest * np.floor(size / smallest + 0.5)
    else:
        u = network.drawn(uniform_of_pairs, layer, ROUNDING, network.active)
        whole = np.floor(size / smallest)
        pulses = smallest * (whole + (u < size / smallest - whole))
    pulses = np.minimum(pulses, physics.max_pulses)
    if physics.accumulate:
        rest = wanted - np.sign(wanted) * pulses
        network.chi[layer] = np.where(gradient == 0, network.chi[layer], rest)
    return wanted, pulses


def applied(physics, asked):
    """Return the pulses of a device without a controller; asked: lr |g| v."""
    if physics.physical_clipping:
        asked = asked * (1 - np.exp(-asked / 0.18))
    pulses = np.where(asked >= physics.clipping, asked, 0)
    return np.minimum(pulses, physics.max_pulses)


def count(network, layer, k, falls, rises, asked, pulses):
    """Count the pulses of device k + 1, in the ledger and as its wear."""
    given = np.where(falls | rises, pulses, 0)
    dropped = (falls | rises) & (asked > 0) & (pulses == 0)
    if network.physics.accumulate:  # nothing is lost
        dropped[:] = False
    network.costs[layer][:3] += given.sum(), np.count_nonzero(given), dropped.sum()
    (network.worn1, network.worn2)[k][layer] += given * falls
    (network.raised1, network.raised2)[k][layer] += given * rises


def miss_of(network, layer, draw):
    """Error of a write, per square root of a pulse."""
    if network.physics.sigma_w == 0:
        return 0.0
    noise = network.drawn(normal, layer, draw, network.active)
    return network.physics.sigma_w * network.device.span * noise


def refresh(network, layer, w1, w2):
    """Return pairs of which no device is used up, of the same weights."""
    top, bottom = network.device.top, network.device.bottom
    before = w1.copy(), w2.copy()
    if network.device.ends:
        end = w1 <= bottom
        w1[end], w2[end] = (bottom - (w2 - top))[end], top
        end = w2 <= bottom
        w2[end], w1[end] = (bottom - (w1 - top))[end], top
    changed = (w1 != before[0]) | (w2 != before[1])  # one that changes nothing is none
    network.costs[layer][3] += changed.sum()
    network.refreshed[layer] += changed
    return w1, w2
