#!/usr/bin/env bash
# Builds and tests the Python package in fresh environments, which vanish.
#
#   python/check.sh         what the gate runs: the profile `dev`, in which the library was built for the tests
#   python/check.sh --all   the wheel that users get (`--release`), and the tests with Ray, PyTorch, torch-fidelity,
#                           torchmetrics and clean-fid, which are 3 GB to install
#
# Tests whose packages are not there are reported as skipped.
set -euo pipefail
cd "$(dirname "$0")"
profile=(--profile dev) built=debug extras=progress,test,notebook
if [ "${1:-}" = --all ]; then
    profile=(--release) built=release extras=$extras,ray,originals
fi

if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
    echo "skipped: there is no python3 from 3.10 on"
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/build"
if ! "$scratch/build/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9,<2'; then
    echo "skipped: pip finds no index with maturin"
    exit 0
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
"$scratch/build/bin/maturin" build --quiet "${profile[@]}" --locked -o "$scratch"

wheel=$(echo "$scratch"/ganscope-*.whl)
"$scratch/build/bin/pip" install --quiet --disable-pip-version-check twine
"$scratch/build/bin/twine" check --strict "$wheel"

python3 -m venv "$scratch/test"
"$scratch/test/bin/pip" install --quiet --disable-pip-version-check "$wheel[progress,test]"
# Where one of these cannot be had, its tests are skipped.
"$scratch/test/bin/pip" install --quiet --disable-pip-version-check "$wheel[$extras]" \
    || echo "skipped: pip cannot install $extras"
program=$CARGO_TARGET_DIR/$built/ganscope
if [ -x "$program" ]; then export GANSCOPE_PROGRAM=$program; fi
# From elsewhere, so that the package that was installed is the one that is tested.
here=$PWD
cd "$scratch"
"$scratch/test/bin/pytest" -q -c "$here/pyproject.toml" "$here/tests"
