"""A SLURM cluster of one node in one folder: own ports and sockets, nothing written elsewhere."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATH = f"{os.environ['PATH']}:/usr/sbin"
CPUS, MEMORY_MIB, GPUS = 4, 20000, 2
ACCOUNT = "trigger"

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=3600
JobRequeue=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=15 DefMemPerCPU=500 State=UP
PartitionName=urgent Nodes={host} PriorityTier=10 MaxTime=600 DefMemPerCPU=500 State=UP
"""


@dataclass
class OneNode:
    """The cluster; its files, daemons' logs among them, lie in ``folder``."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the cluster."""
        return {**os.environ, "PATH": f"{self.folder}/bin:{PATH}", "SLURM_CONF": f"{self.folder}/slurm.conf"}

    def start(self) -> None:
        """Start the daemons and wait for the node."""
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        self._configure()
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        self._run(
            "munged",
            f"--key-file={key}",
            f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
            "--force",
        )
        self._run("slurmctld")
        self._run("slurmd", "-N", socket.gethostname())
        wait_until(lambda: self.query("sinfo", "-h", "-o", "%t") == ["idle"], 30)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        if (self.folder / "slurmctld.pid").exists():
            self.query("scancel", "--user", self._user())
            wait_until(lambda: not self.query("squeue", "-h"), 20)
        for name in ("slurmd", "slurmctld", "munged"):
            pid = self.folder / f"{name}.pid"
            if pid.exists():
                os.kill(int(pid.read_text()), signal.SIGTERM)
        wait_until(lambda: not (self.folder / "slurmctld.pid").exists(), 20)

    def query(self, *command: str) -> list[str]:
        """Lines that a command prints."""
        found = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return found.stdout.splitlines()

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def _configure(self) -> None:
        ports = free_ports(2)
        text = SLURM_CONF.format(
            host=socket.gethostname(),
            user=self._user(),
            folder=self.folder,
            controller_port=ports[0],
            node_port=ports[1],
            cpus=CPUS,
            memory=MEMORY_MIB,
            gpus=GPUS,
        )
        (self.folder / "slurm.conf").write_text(text)
        # Devices that exist on every machine: with files, jobs are told which of them are theirs.
        devices = "".join(f"NodeName={socket.gethostname()} Name=gpu File=/dev/tty{i}\n" for i in range(GPUS))
        (self.folder / "gres.conf").write_text(devices)
        # Inside a job Snakemake drops SLURM_CONF before it calls these.
        for name in ("srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo"):
            wrapper = self.folder / "bin" / name
            real = shutil.which(name, path=PATH)
            wrapper.write_text(f'#!/bin/sh\nexport SLURM_CONF={self.folder}/slurm.conf\nexec {real} "$@"\n')
            wrapper.chmod(0o755)
        # There is no accounting here, which accounts are looked up in.
        accounts = self.folder / "bin/sacctmgr"
        accounts.write_text(f"#!/bin/sh\necho {ACCOUNT}\n")
        accounts.chmod(0o755)

    @staticmethod
    def _user() -> str:
        return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait_until(condition: Callable[[], bool], seconds: float, seen: Callable[[], object] | None = None) -> None:
    """Poll a condition.

    Args:
        seen: what there is to see if it does not become true.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"gave up after {seconds:g} s" + (f": {seen()}" if seen else ""))
        time.sleep(0.2)
