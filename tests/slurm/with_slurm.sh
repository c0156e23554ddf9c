#!/usr/bin/env bash
# Runs a command beside a Slurm of one machine, and stops that Slurm when the command ends. Needs root and Debian.
#   tests/slurm/with_slurm.sh .venv/bin/python -m pytest -m slurm
# Everything it keeps is in a scratch folder, its ports are not Slurm's own: a Slurm of the machine is left alone.
# Partitions: `main` (two slots, two pretended GPUs), and `urgent` on the same slots, whose jobs put `main`'s back in line.
set -euo pipefail

command -v slurmctld slurmd sbatch munged >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
}

host=$(hostname -s)
here=$(mktemp -d)
pids=()
stop() {
  scancel --user=root 2>/dev/null || true
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" && wait "${pids[i]}" || true; done 2>/dev/null
  rm -rf "$here"
}
trap stop EXIT

export SLURM_CONF=$here/slurm.conf
mkdir "$here"/{state,spool}
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
# A requeued job waits as long as a credential lives.
AuthInfo=socket=$here/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
NodeName=node NodeHostname=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=100000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=node Default=YES PriorityTier=1
PartitionName=urgent Nodes=node PriorityTier=2 PreemptMode=OFF
END
touch "$here"/gpu{0,1}
echo "NodeName=node Name=gpu File=$here/gpu[0-1]" >"$here/gres.conf"

# Without a database there is no accounting, which submitit asks what became of a job: Slurm itself still knows.
mkdir "$here/bin"
cat >"$here/bin/sacct" <<'END'
#!/bin/sh
echo 'JobID|State|NodeList'
exec squeue --states=all --array --noheader --format='%i|%T|%N'
END
chmod +x "$here/bin/sacct"
export PATH=$here/bin:$PATH

(umask 077 && head -c 128 /dev/urandom >"$here/munge.key")
munged --foreground --force --num-threads=2 --key-file="$here/munge.key" --socket="$here/munge.socket" \
  --pid-file="$here/munge.pid" --log-file="$here/munge.log" --seed-file="$here/munge.seed" 2>/dev/null &
pids+=($!)
slurmctld -D -c >"$here/slurmctld.log" 2>&1 &
pids+=($!)
slurmd -D -N node >"$here/slurmd.log" 2>&1 &
pids+=($!)

for _ in {1..60}; do
  sinfo --noheader --states=idle 2>/dev/null | grep -q idle && break
  sleep 0.5
done
sinfo --states=idle --noheader | grep -q idle || {
  tail -n 20 "$here"/*.log >&2
  exit 1
}
export SLURM_OF_THE_TESTS=yes # no other is touched
"$@"
