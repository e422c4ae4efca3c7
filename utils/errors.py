"""Errors that a user can mend: one line on stderr, exit code 2, no traceback."""


class UserError(Exception):
    """What is wrong, where, and what to do, in one line."""
