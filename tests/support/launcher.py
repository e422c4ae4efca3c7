"""Starts many runs of `main.py` quickly: imports once, then forks a process for each.

Every run is a separate process with separate signals, limits, user, files and exit code; only what
is imported, and the digits, are shared. Before the fork there is one thread, so none is lost.
Requests and replies are JSON lines. {"args": [...], "output": path, "errors": path, "file_limit":
bytes or null, "powerless": whether even root has to obey file permissions} starts a run; the reply
is its process number. The reply to {"wait": number} is the exit code, negative for a signal.
Further keys: "threads", for how many torch thinks that the machine has cores; "before", the
function of fault_injection.py to call first, with its arguments; "variables", for the environment;
"program", a module with another `main` than main.py; "restarts", how often torchrun, which then
starts two processes, starts them again.
"""

import ctypes
import functools
import importlib
import json
import os
import resource
import signal
import struct
import sys
import traceback
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def import_everything() -> None:
    """Import what a run needs, and load the digits, with one thread, as a run loads them."""
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401
    import torch

    import main  # noqa: F401
    import utils.records.summary
    import utils.training.dry_run
    import utils.training.startup_messages
    import utils.training.train  # noqa: F401
    from utils.data import datasets

    torch.set_num_threads(1)
    datasets.load_digits = functools.cache(datasets.load_digits)
    datasets.load_digits()


def drop_capabilities() -> None:
    """Become subject to file permissions, which root otherwise is not."""
    version_3 = struct.pack("Ii", 0x20080522, 0)
    assert ctypes.CDLL(None).capset(version_3, bytes(24)) == 0


def run(request: dict) -> int:
    """Turn the child into the requested process and run main."""
    import torch

    from utils.compute import distributed
    from utils.compute.signals import SIGNALS

    for signum in SIGNALS:  # which a shell ignores in its background jobs
        signal.signal(signum, signal.SIG_DFL)
    os.environ |= request.get("variables", {})
    for stream, path in ((1, request["output"]), (2, request["errors"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), stream)
    if request.get("file_limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    if request.get("powerless"):
        drop_capabilities()
    if request.get("threads"):
        torch.set_num_threads(request["threads"])
        distributed.usable_cores = lambda: request["threads"]
    sys.argv = ["main.py", *request["args"]]
    if "restarts" in request:
        return run_under_torchrun(request)
    return call_main(request)


def call_main(request: dict) -> int:
    program = importlib.import_module(request.get("program", "main"))
    if request.get("before"):
        function, *arguments = request["before"]
        getattr(importlib.import_module("support.fault_injection"), function)(*arguments)
    try:
        return program.main() or 0
    except SystemExit as stop:
        return stop.code


def run_under_torchrun(request: dict) -> int:
    """Run two processes, which the agent of torchrun forks from this one, and starts again."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    def call_rank() -> None:
        if code := call_main(request):
            sys.exit(code)

    standalone = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "start_method": "fork"}
    config = LaunchConfig(1, 1, 2, max_restarts=request["restarts"], **standalone)
    elastic_launch(config, call_rank)()
    return 0


def reply_to_requests() -> None:
    import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            reply = os.waitstatus_to_exitcode(status)
        else:
            reply = os.fork()
            if reply == 0:
                code = 1
                try:
                    code = run(request)
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
        print(reply, flush=True)


if __name__ == "__main__":
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
    reply_to_requests()
