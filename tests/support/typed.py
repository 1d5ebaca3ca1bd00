"""Snakemake called as from a terminal, but forked from a process that has imported it: a second less for each call."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["snakemake.cli", "trigger_activation.run.workflow"])


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    code: int
    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs per rule, of rules that make something."""
        table = re.search(r"^-+ +-+\n(.*?)^total", self.output, re.MULTILINE | re.DOTALL)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return {rule: int(count) for rule, count in rows if rule != "all"}

    @property
    def refusal(self) -> str:
        """The last line, after checking that it is all there is: no traceback, and no job."""
        assert self.code == 1, self.output
        assert "Traceback" not in self.output
        assert not re.search(r'^ +File "', self.output, re.MULTILINE), self.output
        assert "Job stats" not in self.output
        return self.output.splitlines()[-1]


def _call(folder: str, arguments: tuple[str, ...], output: str) -> None:
    from snakemake.cli import main

    os.chdir(folder)
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.argv = ["snakemake", *arguments]
    main()


def typed(folder: Path, *arguments: str, output: Path) -> Outcome:
    """Call Snakemake in a folder; ``output`` is a file for what it prints."""
    process = CONTEXT.Process(target=_call, args=(str(folder), arguments, str(output)))
    process.start()
    process.join(timeout=300)
    assert process.exitcode is not None
    return Outcome(process.exitcode, output.read_text(encoding="utf-8"))
