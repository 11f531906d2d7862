#!/usr/bin/env bash
# Runs each training program for a few steps and checks the generators against the golden data.
# Skips, and says so, where PyTorch or the data set is absent.
#
#   training/smoke.sh            PYTHON=.venv/bin/python training/smoke.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

if ! "$python" -c "import torch, scipy, safetensors, PIL" 2>/dev/null; then
    echo "skipped: $python has no torch, scipy, safetensors or pillow (see training/README.md)"
    exit 0
fi
"$python" training/check_golden.py
if [ ! -e "$folder/train-images-idx3-ubyte.gz" ]; then
    echo "skipped: no Fashion-MNIST in $folder (see training/README.md)"
    exit 0
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$python" training/fashion_classifier.py --out "$out/cnn" --steps 2 --export "$out/cnn.safetensors"
"$python" training/fashion_stylegan2.py --out "$out/s" --steps 2 --batch 8 --score-ticks 0 --export "$out/s.safetensors"
"$python" training/fashion_biggan.py --out "$out/b" --steps 2 --batch 8 --score-ticks 0 --stats-batches 1 --stats-size 20 \
    --export "$out/b.safetensors"
for model in s b; do
    "$python" training/evaluate.py "$out/$model.safetensors" --classifier "$out/cnn.safetensors" --test 200 \
        --count 100 --psi 1 --grid "$out/grid.png"
done
echo "smoke test passed"
