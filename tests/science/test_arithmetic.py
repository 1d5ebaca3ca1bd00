"""What decides the bytes: equal in another process, other under other instructions."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from trigger_activation.science.arithmetic import arithmetic

CODE = (
    "import torch; torch.set_num_threads(1); from trigger_activation.science.arithmetic import arithmetic; "
    "print(arithmetic(torch.device('cpu')))"
)


def in_another_process(**variables: str) -> str:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_the_same_again() -> None:
    assert arithmetic(torch.device("cpu")) == arithmetic(torch.device("cpu"))
    assert in_another_process() == in_another_process()


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="the processor has no vectors to hide")
def test_a_processor_that_hides_its_instructions_is_another_one() -> None:
    assert in_another_process(ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41") != in_another_process()
