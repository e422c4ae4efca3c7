#!/usr/bin/env bash
# Driving: each cell of devices and each rule of programming, over learning rates, with the costs.
#
#     nohup figures/driving.sh --resume &> driving.txt &
#     nohup figures/driving.sh my-device.json --resume &> driving.txt &
#
# Without a device file both built-in fields are driven, with figure 1's imperfections. Device files
# come first; they are driven instead, with their measured values. An ideal network is the line to
# reach. Learning rates are those of 27 pulses in a range: a device with more gets as many times the
# rate. --clipping is the smallest pulse, 0.1 if it is not given.
#
# Further arguments go to main.py and override the study's values: --task Digits --lr 1000 2000.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
devices=()
while [ $# -gt 0 ] && [[ "$1" != -* ]]; do
    devices+=("$1")
    shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study driving ${devices[@]+--field "${devices[@]}"} "$@"
