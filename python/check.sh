#!/usr/bin/env bash
# Lints, builds and tests the Python package in fresh environments, which vanish.
set -euo pipefail
cd "$(dirname "$0")"

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

cargo fmt --check
# Beside the workspace, in its target folder and its profile `dev`: what is not ours was built for the
# tests already. A build for users is `maturin build --release`.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
cargo clippy --locked --quiet -- -D warnings
"$scratch/build/bin/maturin" build --quiet --profile dev --locked -o "$scratch"

python3 -m venv "$scratch/test"
wheel=$(echo "$scratch"/ganscope-*.whl)
"$scratch/test/bin/pip" install --quiet --disable-pip-version-check "$wheel[progress,test]"
program=$CARGO_TARGET_DIR/debug/ganscope
if [ -x "$program" ]; then export GANSCOPE_PROGRAM=$program; fi
# From elsewhere, so that the package that was installed is the one that is tested.
here=$PWD
cd "$scratch"
"$scratch/test/bin/pytest" -q -c "$here/pyproject.toml" "$here/tests"
