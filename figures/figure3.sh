#!/usr/bin/env bash
# Figure 3: accuracy against learning rate with a smallest pulse (--clipping) alone, at three values.
#
#     nohup figures/figure3.sh &> figure3.txt &
#
# Further arguments go to main.py and override the study's values: figures/figure3.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study figure3 "$@"
