#!/usr/bin/env bash
# Width: accuracy over size and number of hidden layers, for both fields and the ideal network.
#
#     nohup figures/width.sh --resume &> width.txt &
#
# Further arguments go to main.py and override the study's values: figures/width.sh --task Fashion.
# Paths among them count from the project's root. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && default=.venv/bin/python || default=python
exec "${PYTHON:-$default}" main.py --study width "$@"
