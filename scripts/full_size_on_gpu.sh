#!/bin/sh
# Full-size networks on CIFAR-10, on a machine with a GPU and no network: scripts/full_size_on_gpu.sh --minutes 60
# It needs PyTorch with torchvision, NumPy, pydantic, safetensors, Pillow, PyYAML and tqdm, neither Snakemake nor DVC, and
# the images in results/external (docs/data.md). It writes cells and records, which are then copied back.
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-python3}" -m trigger_activation.run.offline "$@"
