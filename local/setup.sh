#!/usr/bin/env bash
# Install everything that runs on one machine: a virtual environment in $1, Node from PyPI, Azurite from npm.
# A second run finds its work done. What is missing is said in one line.
set -euo pipefail
venv=$1
root=$(cd "$(dirname "$0")/.." && pwd)
log=$root/.tools/setup.log
mkdir -p "$root/.tools"

fail() { echo "setup: $1" >&2; exit 1; }

# `.python-version` lets pyenv answer to `python3`; elsewhere the interpreter has the version in its name.
find_python() {
  local candidate
  for candidate in python3.13 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

cd "$root"
if [ ! -x "$venv/bin/python" ]; then
  python=$(find_python) || fail "Python 3.13 is missing; install it (for example: pyenv install 3.13) and try again"
  echo "setup: making $venv with $("$python" --version)"
  "$python" -m venv "$venv" >"$log" 2>&1 || fail "cannot make $venv; the reason is in $log"
fi
echo "setup: installing packages"
"$venv/bin/pip" install -q --disable-pip-version-check -r requirements-local.txt >"$log" 2>&1 &&
  "$venv/bin/pip" install -q --disable-pip-version-check --no-deps -r requirements-nodeps.txt >>"$log" 2>&1 ||
  fail "pip could not install the packages: $(grep -m1 ERROR "$log" || echo "see $log")"
echo "setup: installing the tools for infra/"
tools=.tools/infra
cmp -s requirements-infra.txt "$tools/.installed" || {
  "$venv/bin/python" -m venv "$tools" >>"$log" 2>&1 &&
    "$tools/bin/pip" install -q --disable-pip-version-check -r requirements-infra.txt >>"$log" 2>&1 &&
    cp requirements-infra.txt "$tools/.installed"
} || fail "pip could not install requirements-infra.txt: $(grep -m1 ERROR "$log" || echo "see $log")"
echo "setup: installing Azurite"
"$venv/bin/python" -m local.node install || fail "Azurite could not be installed"
touch "$venv/.installed"
