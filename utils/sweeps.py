"""From values of flags to settings: every combination of them, each once. Torch is not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from utils.errors import UserError
from utils.flags import flags_of
from utils.setting_checks import SWITCHES
from utils.settings import Setting


def sweep(given: Mapping[str, Any]) -> list[Setting]:
    """Return every combination of the values of several flags; the learning rate varies fastest.

    given: values by name, one or several for flags that sweep; if the field is switched, the two
    fields are one value. Raises UserError if a value is given twice or is out of range.
    """
    table, axes = flags_of(Setting), {}
    given = with_second(given)
    names = [name for name, (flag, _) in table.items() if flag.sweeps and name in given]
    for name in sorted(names, key=lambda name: name == "lr"):  # False comes first
        values = given[name]
        is_one = isinstance(values, str) or not isinstance(values, Iterable)
        axes[name] = (values,) if is_one else values
        for value, count in Counter(axes[name]).items():
            if count > 1:
                raise UserError(f"--{name} {value}: given {count} times; give each value once")
    fixed = {name: value for name, value in given.items() if name not in axes}
    return [
        Setting(**fixed, **dict(zip(axes, chosen, strict=True)))
        for chosen in product(*axes.values())
    ]


def with_second(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Split two fields with a switch into `field` and `second`; raises UserError."""
    switches = [name for name in SWITCHES if name in given]
    if not switches or "second" in given:
        return given
    fields = given.get("field", (Setting.field,))
    if len(fields) != 2:
        raise UserError(
            f"--{switches[0]}: needs two fields, --field A B: first that at the start, then that "
            f"after the switch; there {'is' if len(fields) == 1 else 'are'} {len(fields)}"
        )
    rest = {name: value for name, value in given.items() if name != "field"}
    return rest | {"field": (fields[0],), "second": fields[1]}


def settings_of(sweeps: Sequence[Mapping], given: Mapping) -> tuple[Setting, ...]:
    """Return every setting once; --device_noise is given only to settings with read noise."""
    if given.get("device_noise") and "resistor_noise" not in given:
        silent = [values.get("resistor_noise") == (0.0,) for values in sweeps]
        if any(silent) and not all(silent):
            sweeps = [
                {**values, "device_noise": not none}
                for values, none in zip(sweeps, silent, strict=True)
            ]
            given = {name: value for name, value in given.items() if name != "device_noise"}
    found = (setting for values in sweeps for setting in sweep({**values, **given}))
    return tuple(dict.fromkeys(found))


def each_alone(values: Mapping[str, float]) -> dict[str, tuple[float]]:
    return {name: (value,) for name, value in values.items()}
