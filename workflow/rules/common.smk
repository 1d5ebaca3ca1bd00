"""The plan, and what happens before the first and after the last job."""

from trigger_activation.workflow import Workflow

paper = Workflow(config)


wildcard_constraints:
    **paper.constraints,


onstart:
    paper.begin()


onsuccess:
    paper.end(success=True)


onerror:
    paper.end(success=False)
