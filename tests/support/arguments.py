"""Command lines put together from defaults and changes."""

from __future__ import annotations


def merged(*words) -> list[str]:
    """The words of a command line; of a flag that comes twice, the later one counts.

    The program itself refuses such a line.
    """
    flags: dict[str, list[str]] = {}
    for word in map(str, words):
        if word.startswith("--"):
            flags.pop(word, None)
            flags[word] = []
        else:
            list(flags.values())[-1].append(word)
    return [word for flag, values in flags.items() for word in (flag, *values)]
