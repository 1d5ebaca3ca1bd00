"""The plan, and what happens before the first and after the last job."""

from trigger_activation.run.workflow import Workflow

paper = Workflow(config)


wildcard_constraints:
    **paper.constraints,


# What takes a moment is not worth a job of its own on a cluster.
localrules:
    all,
    table,
    figure,
    comparison,
    audit,
    metrics,
    run_record,
    page,
    pdf,


onstart:
    paper.begin()


onsuccess:
    paper.end(success=True)


onerror:
    paper.end(success=False)
