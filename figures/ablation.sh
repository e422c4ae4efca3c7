#!/usr/bin/env bash
# Ablation: what each imperfection costs, alone and among all, and what is left to the ideal network.
#
# The study switches off --var, --resistor_noise, --write_noise and --clipping, which take one value
# each. With a device file, --field my-device.json, the values are the measured ones.
#
#     nohup figures/ablation.sh --resume &> ablation.txt &
#
# Further arguments go to main.py and override the study's values: figures/ablation.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study ablation "$@"
