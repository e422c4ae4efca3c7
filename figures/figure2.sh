#!/usr/bin/env bash
# Figure 2: accuracy against learning rate with ideal devices: no variability, noise or smallest pulse (--clipping).
#
#     nohup figures/figure2.sh &> figure2.txt &
#
# Further arguments go to main.py and override the study's values: figures/figure2.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study figure2 "$@"
