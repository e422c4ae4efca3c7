"""Command lines from defaults and changes."""

from __future__ import annotations


def merged(*words) -> list[str]:
    """Return the words of a command line, in which a later flag replaces an earlier one.

    The program itself refuses a flag that is given twice.
    """
    flags: dict[str, list[str]] = {}
    for word in map(str, words):
        if word.startswith("--"):
            flags.pop(word, None)
            flags[word] = []
        else:
            list(flags.values())[-1].append(word)
    return [word for flag, values in flags.items() for word in (flag, *values)]
