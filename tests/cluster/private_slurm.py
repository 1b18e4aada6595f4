"""A SLURM of one's own: two nodes on this machine's loopback, started without systemd and as any user."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")
NODES = ("n1", "n2")
CPUS = 2
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing() -> list[str]:
    """Programs that SLURM needs and that are not here."""
    return [name for name in NEEDED if shutil.which(name, path=PATH) is None]


def configuration(folder: Path, first_port: int) -> str:
    """Partitions on the same nodes: jobs of `high` send those of `main` back into the queue, and end `spot`'s."""
    user, host = subprocess.check_output(["id", "-un"], text=True).strip(), socket.gethostname()
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={first_port + 1 + i} CPUs={CPUS} Boards=1 "
        f"SocketsPerBoard=1 CoresPerSocket={CPUS} ThreadsPerCore=1 State=UNKNOWN"
        for i, name in enumerate(NODES)
    ]
    # a credential that expires soon shortens how long a requeued job waits
    return f"""
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
InactiveLimit=0
KillWait=10
MinJobAge=600
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
{chr(10).join(nodes)}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
PartitionName=spot Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=5
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
"""


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The environment of its users, while it runs."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # short: a socket's path may have 107 characters
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(configuration(folder, _free_ports()))
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH, "MASTER_ADDR": "127.0.0.1"}
    try:
        _start(folder, os.environ | environment)
        yield environment
    finally:
        subprocess.run(["scancel", "--full", "--user=root"], env=os.environ | environment, check=False)
        for pid in (*folder.glob("slurmd.*.pid"), folder / "slurmctld.pid", folder / "munged.pid"):
            if pid.is_file():
                subprocess.run(["kill", pid.read_text().strip()], check=False)
        time.sleep(1.0)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, environment: dict[str, str]) -> None:
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    parts = {"socket": "munge.socket", "key-file": "key", "pid-file": "munged.pid", "log-file": "munged.log"}
    options = [f"--{name}={folder / value}" for name, value in {**parts, "seed-file": "munged.seed"}.items()]
    commands = [
        ["munged", "--force", *options],
        ["slurmctld", "-f", str(folder / "slurm.conf")],
        *(["slurmd", "-f", str(folder / "slurm.conf"), "-N", node] for node in NODES),
    ]
    for command in commands:
        subprocess.run(command, env=environment, check=True, timeout=30.0, capture_output=True)
    give_up = time.monotonic() + 60.0
    while True:
        command = ["sinfo", "--noheader", "--Node", "--partition=main", "--states=idle", "--format=%N"]
        idle = subprocess.run(command, env=environment, check=False, capture_output=True, text=True).stdout.split()
        if sorted(idle) == sorted(NODES):
            return
        assert time.monotonic() < give_up, (folder / "slurmctld.log").read_text()[-3000:]
        time.sleep(0.2)


def _free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""
    for first in range(26_817 + os.getpid() % 1000 * 4, 40_000, 4):
        try:
            for port in range(first, first + 1 + len(NODES)):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")
