"""Nothing lost, nothing half written: kill -9 and signals."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from support.launched import Process
from support.sweeps import OFTEN, SWEEP, assert_same_results, held_in

import main
from utils.compute.signals import Stop, StoppedError


def test_kill_at_random_moments(start, tmp_path, undisturbed):
    """kill -9, at least 20 times in all, each time resumed until the sweep is complete."""
    moments, kills, sweeps = random.Random(1), 0, 0
    while kills < 20:
        out = tmp_path / f"sweep{sweeps}"
        sweeps += 1
        while True:
            process = start(*SWEEP, *OFTEN, "--resume", output_dir=out)
            if kills < 20:
                time.sleep(moments.uniform(0.02, 0.4))
                process.send(signal.SIGKILL)
            code = process.wait()
            if code == 0:
                break
            assert code == -signal.SIGKILL, process.log
            kills += 1
            for record in out.glob("[!.]*/*.json"):
                assert json.loads(record.read_text())["accuracy"] > 0  # whole, once it is there
        assert_same_results(out, undisturbed)


def handles_signals(process: Process) -> bool:
    """Whether the process handles SIGTERM, and SIGINT before it, as the kernel reports it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    handled = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(handled >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_a_run_at_any_moment_and_nothing_is_lost(signum, start, tmp_path, undisturbed):
    """Stopped while it loads, trains and writes, each time resumed.

    Each time it waits, so that nothing but the signal ends it.
    """
    out = tmp_path / "out"

    def last_line(process: Process) -> str:
        assert "Traceback" not in process.ended(128 + signum).log
        line = process.log.splitlines()[-1]
        assert signal.Signals(signum).name in line
        return line

    loading = start(*SWEEP, "--resume", before=("hold_loading",))
    loading.wait_until(lambda: handles_signals(loading)).send(signum)
    assert "nothing was trained" in last_line(loading)
    assert not out.exists() or not list(out.iterdir())
    training = start(*SWEEP, "--resume", before=held_in(3))
    training.wait_for("epoch 2/").send(signum)
    assert "--resume" in last_line(training)
    writing = start(*SWEEP, "--resume", before=("hold_writing",))
    writing.wait_until(lambda: any(out.glob("[!.]*/*-accuracies.pth"))).send(signum)
    writing.open("writing")
    assert "--resume" in last_line(writing)
    start(*SWEEP, "--resume").ended()
    assert_same_results(out, undisturbed)


def test_a_second_ctrl_c_stops_at_once(stop, monkeypatch):
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)

    def two_ctrl_c():
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            assert exits == []
            os.kill(os.getpid(), signal.SIGINT)
            assert exits == [130]

    with pytest.raises(StoppedError):
        two_ctrl_c()


def test_a_ctrl_c_passed_on_by_torchrun_is_no_second_one(stop, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("stopped at once"))

    def twice():
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError):
        twice()


def test_nohup_keeps_its_meaning(stop):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Stop().install()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_a_signal_while_flags_are_read(stop, monkeypatch, capsys):
    monkeypatch.setattr(main, "parse", lambda args: os.kill(os.getpid(), signal.SIGTERM))
    assert main.main([]) == 143
    assert capsys.readouterr().err == "main.py: stopped by SIGTERM; nothing was trained yet\n"
