"""Errors that end a run early; the user sees each as one line, without a traceback."""


class UserError(Exception):
    """An error that the user can correct: what is wrong, where, and what to do. Exit code 2."""


class RecordError(Exception):
    """Results cannot be written; the message says where and why. Exit code 1."""


class WorkerDiedError(Exception):
    """A worker, or another process under torchrun, has died. Exit code 1."""


class FailedOnOtherRankError(Exception):
    """Another process of the run has failed and has logged why. exit_code: of that process."""

    def __init__(self, exit_code: int):
        super().__init__(exit_code)
        self.exit_code = exit_code
