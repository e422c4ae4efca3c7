"""Reports of progress while networks train."""

import sys

import pytest
from conftest import setting_of

from utils.progress import Epoch, Progress

WHO = "Digits-double-linear-3000.0-var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"


def epoch(number: int, models: tuple[int, ...] = (0,), failed=None, **changes) -> Epoch:
    setting = setting_of(epochs=3, **changes)
    return Epoch(setting, models, number, 0.75, 1.25, 0.03125, failed or {})


def test_a_line_for_each_epoch_says_of_which_network_or_networks(capsys):
    with Progress(12) as progress:
        progress.note(epoch(1, (4,)))
        progress.note(epoch(2, (0, 1, 2)))
        progress.note(epoch(1, (0,), lr=500.0))
    first, second, third = capsys.readouterr().err.splitlines()
    numbers = "accuracy 75.00 %, loss 1.2500, request 0.03125 pulses, "
    assert first.startswith(f"{WHO}, network 4: epoch 1/3, {numbers}")
    assert second.startswith(f"{WHO}, 3 networks: epoch 2/3, {numbers}")
    assert third.startswith(f"{WHO.replace('3000', '500')}, network 0: epoch 1/3, {numbers}")


def failures(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if "failed" in line]


def test_a_failure_is_named_once(capsys):
    with Progress(6) as progress:
        progress.note(epoch(1, (0, 1), {1: 12}))
        progress.note(epoch(2, (0, 1), {1: 12}))
        progress.note(epoch(3, (0, 1), {0: 30, 1: 12}))
        progress.note(epoch(3, (1,), {1: 12}, lr=500.0))
    first, second, other = failures(capsys.readouterr().err)
    assert first.startswith(f"network 1 of {WHO} failed: loss or weights are not finite")
    assert "from step 12 on" in first
    assert second.startswith(f"network 0 of {WHO} failed")
    assert "from step 30 on" in second
    assert other.startswith(f"network 1 of {WHO.replace('3000', '500')} failed")


def test_a_quiet_run_says_nothing_but_failures(capsys):
    with Progress(3, quiet=True) as progress:
        progress.note(epoch(1))
        progress.note(epoch(2, failed={0: 12}))
        progress.note(epoch(3, failed={0: 12}))
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"network 0 of {WHO} failed")
    assert captured.out == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_in_a_terminal_a_bar_counts_every_networks_epoch(quiet, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(6, quiet) as progress:
        progress.note(epoch(1, (0, 1)))
        progress.note(epoch(2, (1,), {1: 12}))
        assert (None if quiet else 3) == (progress.bar and progress.bar.n)
    printed = capsys.readouterr().err
    assert ("3/6" in printed) != quiet
    assert len(failures(printed.replace("\r", "\n"))) == 1
