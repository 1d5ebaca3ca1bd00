"""On the path of a run under test: something dies at the n-th write of one of its processes.

SABOTAGE_VICTIM is ``writer``, which dies when half of the file has reached the disk, or ``main``, which dies while a
worker ends its write: the artifact is whole, but nobody heard of it.
"""

import os
import signal
import sys

_writes_left = int(os.environ["SABOTAGE_WRITE"])
_victim = os.environ["SABOTAGE_VICTIM"]
_main = os.getppid() if "LokyProcess" in " ".join(sys.orig_argv) else None
_fsync = os.fsync


def fsync(descriptor: int) -> None:
    global _writes_left
    _writes_left -= 1
    if _writes_left == 0 and _victim == "writer":
        os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    if _writes_left == 0 and _main is not None and _main == os.getppid():
        os.kill(_main, signal.SIGKILL)
    _fsync(descriptor)


os.fsync = fsync
