"""The ways in which a run ends early; each tells the user in one line, without a traceback."""


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and what to do. Exit code 2."""


class RecordError(Exception):
    """Results could not be written: where and why. Exit code 1."""


class WorkerDiedError(Exception):
    """A worker, or another process under torchrun, has died. Exit code 1."""


class FailedOnOtherRankError(Exception):
    """Another process of the run has failed and told the user why."""

    def __init__(self, exit_code: int):
        super().__init__(exit_code)
        self.exit_code = exit_code
