#!/usr/bin/env bash
# The bare-install check: with the core dependencies alone, import, generate and export must work.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-bare
python="${PYTHON:-python3}"
if [ ! -f "$venv/.installed" ] || [ pyproject.toml -nt "$venv/.installed" ] || [ constraints.txt -nt "$venv/.installed" ]; then
  echo "Bare install: the core dependencies only, into $venv"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip --disable-pip-version-check install -qq -c constraints.txt -e .
  touch "$venv/.installed"
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$venv/bin/python" tools/bare_check.py "$work"
