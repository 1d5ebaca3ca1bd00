"""The plan, and what all rules share.

Inputs are empty for an artifact that is valid, so that nothing above it enters the graph; `changed` is a file that is newer
than a stale one. `run:` hands the job to a warm worker, since a process for each job would import torch for hours.
"""

from trigger_activation.run.workflow import Workflow

paper = Workflow(config, workflow)
needs, changed = paper.needs, paper.changed


pathvars:
    # The network that images are crafted on.
    surrogate="{protocol}/{network}__{paradigm}/seed{seed}",


# So that `--resources runtime=2880 mem_mb=64000` is the most that one job asks for, not all jobs together.
resource_scopes:
    runtime="local",
    mem_mb="local",


onstart:
    paper.begin()


onsuccess:
    paper.end(success=True)


onerror:
    paper.end(success=False)
