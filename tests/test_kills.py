"""Nothing lost, nothing half written: kill -9 and signals."""

import json
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from support.launched import Process
from support.sweeps import OFTEN, SLOW, SWEEP, assert_same_results

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
                time.sleep(moments.uniform(0.05, 0.6))
                process.send(signal.SIGKILL)
            code = process.wait()
            if code == 0:
                break
            assert code == -signal.SIGKILL, process.said
            kills += 1
            for record in out.glob("[!.]*/*.json"):
                assert json.loads(record.read_text())["accuracy"] > 0  # whole, once it is there
        assert_same_results(out, undisturbed)


def loading(process: Process, output_dir: Path) -> bool:
    """Whether the process handles SIGTERM, as the kernel reports it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    handled = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(handled >> (signal.SIGTERM - 1) & 1)


def training(process: Process, output_dir: Path) -> bool:
    return "epoch 2/" in process.said


def writing(process: Process, output_dir: Path) -> bool:
    return any(output_dir.glob("[!.]*/*-accuracies.pth")) or any(
        output_dir.glob("[!.]*/.*acc*.tmp")
    )


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_a_run_at_any_moment_and_nothing_is_lost(
    signum, code, start, tmp_path, undisturbed
):
    """Stopped while it loads, trains and writes, each time resumed."""
    out = tmp_path / "out"
    for moment in (loading, training, writing):
        process = start(*SWEEP, "--resume", **SLOW)
        process.wait_until(partial(moment, process, out))
        sent = time.monotonic()
        process.send(signum)
        assert process.wait() == code
        assert time.monotonic() - sent < 10  # generous; it is well below a second
        last = process.said.splitlines()[-1]
        assert "Traceback" not in process.said
        assert signal.Signals(signum).name in last
        if moment is loading:
            assert "nothing was trained" in last
            assert not out.exists() or not list(out.iterdir())
        else:
            assert "--resume" in last
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0, process.said
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
