"""The ledger: each count against numbers worked out by hand; wear; where it must not count."""

import pytest
import torch
from conftest import currents_of, members_of, setting_of
from support.cells import updated
from support.devices import device_of
from support.pairs import LINEAR, row

from devices.controller import Pulses
from devices.ledger import COUNTS, WEAR, Account
from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.training.trainer import Trainer


def counted(w1, *arguments, **options):
    """Return the cost of one update of a row of pairs, and the pairs after it: see `updated`."""
    account = Account(row(*w1), keeps_wear=True)
    state = updated(w1, *arguments, account=account, **options).state
    return account, (state.w1, state.w2)


def sums(account: Account) -> dict[str, float]:
    return dict(zip(COUNTS, account.sums[0].tolist(), strict=True))


def wear(account: Account) -> list[list[float]]:
    return [getattr(account, name)[0, 0].tolist() for name in WEAR]


def test_smallest_pulse_by_hand():
    """Slopes 1.5 and 0.5: requests 1, 3, 0.03, 0.09, 0.5, 0 pulses; what is below 0.5 is dropped.

    A request of just the smallest pulse is applied; one of nothing is none.
    """
    account, _ = counted(
        [2.5] * 6, [2.6] * 6, [2.0, -2.0, 0.06, -0.06, 1.0, 0.0], clipping=0.5, slopes=(1.5, 0.5)
    )
    assert sums(account) == {"pulses": 4.5, "writes": 3, "dropped": 2, "refreshes": 0}
    assert wear(account) == [[0, 3, 0, 0, 0, 0], [1, 0, 0, 0, 0.5, 0], [0] * 6]


@pytest.mark.parametrize("name", ["double-linear", "double-exponential"])
def test_refresh_of_each_device_and_of_both_by_hand(name):
    """w1 used up; w2 used up; neither; both at once, by a write to one that misses the other's end.

    Both: device 2 stands at its end, device 1 is written beyond; that is one refresh, not two.
    """
    end, top = device_of(name).response.w_min, device_of(name).response.w_max
    near = end + 1e-3
    account, (w1, w2) = counted(
        [near, top, top, near], [top, near, top, end], [-9.0, 9.0, 9.0, -9.0], name
    )
    assert sums(account) == {"pulses": 36, "writes": 4, "dropped": 0, "refreshes": 3}
    assert wear(account) == [[9, 0, 0, 9], [0, 9, 9, 0], [1, 1, 0, 1]]
    assert w2[0, 0, 0] == w1[0, 0, 1] == w2[0, 0, 3] == top


def test_a_pair_at_its_largest_weight_is_refreshed_once_it_is_written_again():
    """Otherwise the very same pair would cost a refresh in every mini-batch."""
    end, top = LINEAR.w_min, LINEAR.w_max
    still, (w1, w2) = counted([end, end], [top, top], [0.0, -0.3], clipping=0.5)
    assert (w1[0, 0].tolist(), w2[0, 0].tolist()) == ([end, end], [top, top])
    assert sums(still) == {"pulses": 0, "writes": 0, "dropped": 1, "refreshes": 0}
    written, (w1, w2) = counted([end, end], [top, top], [-1.0, 1.0])
    assert w1[0, 0].tolist() == pytest.approx([end, end + 0.021])
    assert sums(written) == {"pulses": 2, "writes": 2, "dropped": 0, "refreshes": 2}


def test_a_pair_found_beyond_its_end_is_refreshed_without_a_write_and_counted_by_hand():
    """A switch to a device of fewer pulses leaves such pairs; one at the largest weight stays."""
    end, top = LINEAR.w_min, LINEAR.w_max
    account, (w1, w2) = counted([2.0, 2.5, 2.0, 2.3], [2.5, 2.0, 2.742, 2.4], [0.0] * 4)
    assert sums(account) == {"pulses": 0, "writes": 0, "dropped": 0, "refreshes": 2}
    assert wear(account) == [[0] * 4, [0] * 4, [1, 1, 0, 0]]
    assert w1[0, 0].tolist() == pytest.approx([end - 2.5 + top, top, end, 2.3])
    assert w2[0, 0].tolist() == pytest.approx([top, end - 2.5 + top, top, 2.4])


def test_clamping_costs_nothing():
    """A device above its range is clamped, then written; one below it is used up once written."""
    account, _ = counted([9.0, 2.5, 1.0], [2.5, 9.0, 2.6], [-1.0, 0.0, -1.0])
    assert sums(account) == {"pulses": 2, "writes": 2, "dropped": 0, "refreshes": 1}
    assert wear(account)[2] == [0, 0, 1]


def test_write_noise_changes_what_is_refreshed_and_not_the_pulses():
    """Four pulses from 2.3 lead to 2.216, above the end at 2.175; a miss of 2 x 0.03 beyond it."""
    for miss, refreshes in ((0.0, 0), (-1.0, 1), (1.0, 0)):
        account, _ = counted([2.3], [2.6], [-4.0], write_noise=0.03, noise=[miss])
        assert sums(account) == {"pulses": 4, "writes": 1, "dropped": 0, "refreshes": refreshes}


def test_sums_go_on_and_counts_are_whole_in_single_precision():
    """A million pairs; small pulses beside what has come before are not lost."""
    account = Account(torch.zeros(1, 1000, 1000), keeps_wear=True)
    request = torch.full((1, 1000, 1000), 0.1)
    none = torch.zeros(1, 1000, 1000, dtype=torch.bool)
    account.sums += 1e12
    account.pulses1 += 1e6
    for _ in range(3):
        account.note(none, [Pulses(request, request)], ~none)
    pulses, writes, dropped, refreshes = (account.sums[0] - 1e12).tolist()
    assert pulses == pytest.approx(3e5, rel=1e-5)
    assert (writes, dropped, refreshes) == (3e6, 0, 3e6)
    assert (account.pulses1 - 1e6).mean().item() == pytest.approx(0.3, rel=1e-6)
    assert account.refreshes.unique().tolist() == [3]


def train(currents, ledger_level, **changes) -> Trainer:
    members = members_of(setting_of(**changes))
    trainer = Trainer(members, currents, Compiler(False), ledger_level=ledger_level)
    list(trainer.train(lambda: None))
    return trainer


def ledgers(trainer: Trainer) -> list[dict]:
    return [result.ledger for result in trainer.results(0.0)]


@pytest.mark.parametrize("data", ["patterns", "sparse_patterns"])
def test_wear_adds_up_to_the_totals_and_leaves_pairs_out_that_are_never_programmed(data, request):
    """40 outputs are a block and a part of one."""
    currents = currents_of(request.getfixturevalue(data))
    trainer = train(currents, LedgerLevel.WEAR, layers=(40,), init=0.2)
    (ledger,) = ledgers(trainer)
    for layer, n in enumerate(([40, 144], [4, 40])):
        pulses1, pulses2, refreshes = (ledger[f"layers.{1 + 3 * layer}.{name}"] for name in WEAR)
        assert list(pulses1.shape) == list(pulses2.shape) == list(refreshes.shape) == n
        total = pulses1.double().sum() + pulses2.double().sum()
        assert total.item() == pytest.approx(ledger["pulses"][:, layer].sum().item(), rel=1e-5)
        assert refreshes.sum() == ledger["refreshes"][:, layer].sum()
    always_zero = currents.active_inputs.always_zero
    assert len(always_zero) > 0
    assert ledger["layers.1.pulses1"][:, always_zero].count_nonzero() == 0
    assert (ledger["layers.1.pulses1"] > 0).sum() > 1000
    account = trainer.ensemble.ledger.accounts[0]
    if currents.product == "sparse":
        lanes = account.pulses1[0].unflatten(0, (2, -1))[1]  # the second block, [in, 32]
        assert lanes[:, :8].count_nonzero() > 0
        assert lanes[:, 8:].count_nonzero() == 0


@pytest.mark.parametrize("data", ["patterns", "sparse_patterns"])
@pytest.mark.parametrize("field", ["double-linear", "double-exponential", "table"])
def test_counting_changes_no_number(field, data, request):
    currents = currents_of(request.getfixturevalue(data))
    changes = dict(field=device_of(field), layers=(40,))
    plain, counted, worn = (train(currents, level, **changes) for level in LedgerLevel)
    expected = worn.ensemble.state_dict()
    for less in (plain, counted):
        for name, actual in less.ensemble.state_dict().items():
            assert torch.equal(actual, expected[name]), name
    assert "ledger" not in str(plain.ensemble.state_dict().keys())
    assert ledgers(plain) == [{}]
    assert set(expected) - set(counted.ensemble.state_dict()) == {
        f"ledger.accounts.{layer}.{name}" for layer in (0, 1) for name in WEAR
    }


def test_of_a_network_that_fails_it_is_unknown_from_then_on(currents):
    trainer = Trainer(
        members_of(setting_of(), 2), currents, Compiler(False), ledger_level=LedgerLevel.WEAR
    )
    epochs = trainer.train(lambda: None)
    next(epochs)
    trainer.ensemble.network.layers[0].pairs.weight[1, 2, 3] = torch.nan
    list(epochs)
    good, bad = ledgers(trainer)
    for name in COUNTS:
        assert good[name].isfinite().all()
        assert bad[name][0].isfinite().all()
        assert bad[name][1].isnan().all()
    assert bad["layers.1.pulses1"].isnan().all()
    assert good["layers.1.pulses1"].isfinite().all()
