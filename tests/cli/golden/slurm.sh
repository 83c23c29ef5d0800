#!/bin/bash
#SBATCH --job-name=runner-tiny
#SBATCH --array=0-7
#SBATCH --time=4:00:00
#SBATCH --partition=long
#SBATCH --account=me
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --constraint=a100&nvlink
#SBATCH --output="my logs/%a.txt"
#SBATCH --exclusive
#SBATCH --nice=100
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

# Each job is a worker: it does stages that are wanted in the database, one after
# another, until none is left, or until it is told that its time is over soon.
export RUNNER_DB=/here/results.db
cd -- /here || exit 1
/bin/python3 -P -m runner worker --device cuda --threads 4 --data /here/pictures --checkpoint-seconds 10.0 --cache-limit 5000000000 --deterministic --no-download --code /here/own.py --max-hours 3.93333 &
worker=$!
trap 'told=1; kill -USR1 "$worker" 2>/dev/null' USR1
trap 'told=1; kill -TERM "$worker" 2>/dev/null' TERM
while
    told=0
    wait "$worker"
    code=$?
    [ "$told" -eq 1 ]  # a signal ends wait, not the worker
do :; done

# 75: more is to do. The job begins again, with new time, behind others in the queue.
if [ "$code" -eq 75 ]; then
    trap '' TERM  # which all processes of the job get then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" ||
        echo "not requeued; give the command runner slurm again to go on" >&2
fi
exit "$code"
