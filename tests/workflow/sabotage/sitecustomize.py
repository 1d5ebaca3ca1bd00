"""On the path of a pull under test: DVC dies when half of a file has reached the disk.

SABOTAGE_PULL is an expression that the file's name matches. With SABOTAGE_ALL the pull dies with DVC.
"""

import os
import re
import signal
from pathlib import Path

_replace = os.replace


def replace(source: str, destination: str) -> None:
    if re.search(os.environ["SABOTAGE_PULL"], os.fspath(destination)):
        os.truncate(source, Path(source).stat().st_size // 2)
        if "SABOTAGE_ALL" in os.environ:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    _replace(source, destination)


os.replace = replace
