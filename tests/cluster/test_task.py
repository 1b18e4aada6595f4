"""What a task of a job does to its process."""

import subprocess
import sys

CODE = """
import atexit, os, signal, sys
from genbench.cluster.slurm import Task
signal.signal(signal.SIGUSR2, lambda number, frame: os._exit(3))
Task(["list", "metric"])()
atexit.register(os.kill, os.getpid(), signal.SIGUSR2)
"""


def test_a_signal_to_save_does_not_reach_a_task_that_is_done() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fid" in done.stdout
