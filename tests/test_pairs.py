"""Fresh pairs, and networks side by side, whose devices have constants of their own."""

from dataclasses import replace

import pytest
import torch
from scipy import stats
from support.devices import RESPONSES, device_of
from support.pairs import EXPONENTIAL, IDEAL, LINEAR, fresh, write

from devices.built_in import curved
from devices.controller import Programming
from devices.network_responses import Responses
from devices.pair import PairArray

TABLE, LONGER = (device_of(name).response for name in ("table", "longer table"))
STEEPER = replace(LINEAR, slope=-0.03, offset=2.9)
OTHER = replace(EXPONENTIAL, decay=5.0, amplitude=1.0, offset=1.0, pulses_max=20.0)


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
class TestFreshPair:
    def test_voltages(self, response):
        pair = fresh([response], init=0.02)
        torch.testing.assert_close(
            pair.weight1, torch.full_like(pair.weight1, response.w_max - 0.02)
        )
        torch.testing.assert_close(pair.weight, pair.weight2 - pair.weight1)
        u = -pair.weight.flatten().double().numpy()
        assert stats.kstest((u + 0.02) / 0.04, "uniform").pvalue > 1e-3
        assert pair.weight2.max() <= response.w_max

    def test_slopes_are_folded_at_zero(self, response):
        slope = fresh([response], variability=2.0).slope1.flatten().numpy()
        assert slope.min() >= 0
        assert stats.kstest(slope, stats.foldnorm(0.5, scale=2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "responses",
    [[LINEAR, STEEPER, IDEAL], [OTHER, EXPONENTIAL, curved(-4.0)], [TABLE, LONGER, TABLE]],
    ids=["linear", "exponential", "table"],
)
def test_networks_side_by_side_have_constants_of_their_own(responses):
    """Fresh, programmed until they are used up, and switched: each as alone, bit for bit."""
    together = fresh(responses, shape=(30, 40), init=0.2)
    gradient = torch.linspace(-30, 30, 1200).view(1, 30, 40).expand(3, -1, -1)
    programme(together, gradient)
    partners = [EXPONENTIAL, TABLE, None]  # the last has no other field
    switched = together.relaxed_weight(partners)
    for model, response in enumerate(responses):
        alone = fresh([response], (30, 40), init=0.2, seed=100 + model)
        programme(alone, gradient[:1])
        for name in ("weight1", "weight2", "weight"):
            assert torch.equal(getattr(together, name)[model], getattr(alone, name)[0])
        assert torch.equal(switched[model], alone.relaxed_weight([partners[model]])[0])
    assert torch.equal(switched[2], together.weight[2])


def programme(array: PairArray, gradient: torch.Tensor) -> None:
    n = len(gradient)
    programming = Programming(torch.full((n,), 1.0), torch.full((n,), 0.1))
    for sign in (1, 1, -1):
        write(array, sign * gradient, programming)


def test_constants_of_an_ensemble_are_rounded_once():
    """w_min of the linear device is the float32 next to 2.175, not what float32 sums give."""
    stacked = Responses([LINEAR, STEEPER])
    assert stacked.lowest.flatten().tolist() == torch.tensor([2.742 - 0.567, 2.9 - 0.81]).tolist()
    assert stacked.w_max.shape == (2, 1, 1)
    assert stacked.equation.slope.dtype == torch.float32


def test_networks_of_different_families_are_different_ensembles():
    with pytest.raises(ValueError, match="families"):
        Responses([LINEAR, EXPONENTIAL])
