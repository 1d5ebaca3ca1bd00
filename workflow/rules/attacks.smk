rule tae:
    input:
        paper.inputs(
            "results/taes/{protocol}/{network}__{paradigm}/seed{seed}/{attack}.npz"
        ),
    output:
        "results/taes/{protocol}/{network}__{paradigm}/seed{seed}/{attack}.npz",
    log:
        "results/logs/taes/{protocol}/{network}__{paradigm}/seed{seed}/{attack}.log",
    resources:
        **paper.resources(
            "results/taes/{protocol}/{network}__{paradigm}/seed{seed}/{attack}.npz"
        ),
    run:
        paper.make(output[0], log[0], workflow.cores)
