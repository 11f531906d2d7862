#!/usr/bin/env bash
#SBATCH --job-name=ganscope-stats
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --output=%x-%A-%a.log
#
# Statistics of a large set as an array of jobs, each with one part:
#
#   parts=$(sbatch --parsable examples/cluster/statistics.sh photos.zip parts)
#   sbatch --dependency=afterok:$parts --array=0 examples/cluster/statistics.sh photos.zip parts
#
# Job 0 merges the parts. What follows the folder goes to `ganscope stats`, such as `--extractor` or
# `--weights`. Fill the cache of weights once before (`GANSCOPE_CACHE` on a shared disk), since nodes
# often have no network.
set -euo pipefail

set=$1 folder=$2
shift 2
parts=${PARTS:-16}
part=${SLURM_ARRAY_TASK_ID:?run it by sbatch, or set it to a number from 0 to $parts}

export HF_HUB_OFFLINE=1
mkdir -p "$folder"

if [ "$part" -gt 0 ]; then
    # Written under another name and renamed, so a job that is run again leaves a whole file.
    ganscope stats "$set" --shard "$part/$parts" -o "$folder/part$part.safetensors" "$@"
else
    files=()
    for ((i = 1; i <= parts; i++)); do
        files+=("$folder/part$i.safetensors")
    done
    ganscope stats merge "${files[@]}" -o "$folder/all.safetensors"
fi
