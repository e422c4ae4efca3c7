#!/usr/bin/env bash
# Map: accuracy over nonlinearity and learning rate, with figure 1's imperfections.
#
#     nohup figures/map.sh --resume &> map.txt &
#
# Further arguments go to main.py and override the study's values: figures/map.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study map "$@"
