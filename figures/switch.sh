#!/usr/bin/env bash
# The field switched while the network learns: both orders, after 1, 2, 5, 10 and 15 of 20 epochs.
#
#     nohup figures/switch.sh &> switch.txt &
#
# Further arguments go to main.py and override the study's values: figures/switch.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study switch "$@"
