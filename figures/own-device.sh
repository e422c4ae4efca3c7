#!/usr/bin/env bash
# Your device compared with linear, exponential and ideal devices, over learning rates.
#
# The exponential one has the range of the linear device, as a device file has: double-curved-2.77.
# Learning rates are those of 27 pulses in a range: a device with more gets as many times the rate,
# so that equal rates make equal steps. Where a device is best at the edge of what was tried, the
# range is extended, at most three times, unless --lr is given.
#
#     nohup figures/own-device.sh my-device.json --resume &> own-device.txt &
#
# The device file comes first; there may be more than one. Your device has its measured values;
# built-in devices have the defaults of main.py: variability 0.2, no read or write noise. With --var,
# --resistor_noise and --write_noise, which apply to all fields, only the responses differ.
#
# Further arguments go to main.py and override the study's values: --task Digits --lr 1000 2000.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
devices=()
while [ $# -gt 0 ] && [[ "$1" != -* ]]; do
    devices+=("$1")
    shift
done
if [ ${#devices[@]} -eq 0 ]; then
    echo "figures/own-device.sh: error: name a device file first: figures/own-device.sh FILE.json" >&2
    exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study own-device \
    --field "${devices[@]}" double-linear double-curved-2.77 double-ideal "$@"
