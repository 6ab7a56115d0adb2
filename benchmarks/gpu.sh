#!/usr/bin/env bash
# The default study and its options on a bare GPU machine: benchmarks/gpu.sh BUNDLE OUT [arguments of gpu.py's run]
# BUNDLE is what `python -m benchmarks.gpu pack BUNDLE` made. Nothing is fetched; torch, transformers, timm, pandas and
# pyarrow have to be there (torch 2.11 with transformers 5.17 and Python 3.12 is what it was written for).
set -euo pipefail
bundle=$(realpath "$1") out=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-index --no-deps --target "$work/packages" "$bundle"/wheels/*.whl
tar -C "$work" -xf "$bundle/material.tar.xz"
export PYTHONPATH="$PWD:$work/packages${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || true
python3 -m benchmarks.gpu run "$work/material" "$out" "$@"
