#!/usr/bin/env bash
# One task of a job array: part I of N of a search, or the training of plan number I.
#
#     task.sh search FOLDER N [options of spencnn search ...]     part I of N, into FOLDER/shard-I.jsonl
#     task.sh train [options of train.py ...] -- PLAN ...         the I-th plan folder
#
# I is SLURM_ARRAY_TASK_ID, HQ_TASK_ID or TASK, from 1. SPENCNN names the command, PYTHON a Python that has the packages of
# ../training/requirements.txt. A task that was killed goes on where it was when it is run again.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
task="${TASK:-${SLURM_ARRAY_TASK_ID:-${HQ_TASK_ID:?no task number: set TASK, or run this from a job array}}}"
what="${1:?search or train}"
shift

case "$what" in
  search)
    folder="${1:?a folder for the journals}" count="${2:?how many parts}"
    shift 2
    mkdir -p "$folder"
    exec "${SPENCNN:-spencnn}" search "$@" --shard "$task/$count" --journal "$folder/shard-$task.jsonl"
    ;;
  train)
    options=()
    while [ "${1:?a -- before the plan folders}" != "--" ]; do
      options+=("$1")
      shift
    done
    shift
    if [ "$task" -gt "$#" ]; then
      echo "task $task: there are only $# plans" >&2
      exit 2
    fi
    exec "${PYTHON:-python3}" "$here/../training/train.py" --plan "${!task}" --resume "${options[@]}"
    ;;
  *)
    echo "$what: expected search or train" >&2
    exit 2
    ;;
esac
