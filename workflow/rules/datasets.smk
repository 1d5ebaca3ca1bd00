rule dataset:
    input:
        recipe=changed("dataset"),
    output:
        "<file>",
    log:
        "results/logs/<file>.log",
    pathvars:
        file="results/datasets/{dataset}/{split}.npz",
    resources:
        **paper.resources,
    run:
        paper.make(output[0], log[0], workflow.cores)
