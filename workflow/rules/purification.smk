rule purified_tae:
    input:
        paper.inputs(
            "results/purified/{protocol}/{network}__{paradigm}/seed{seed}/{attack}__{purifier}.npz"
        ),
    output:
        "results/purified/{protocol}/{network}__{paradigm}/seed{seed}/{attack}__{purifier}.npz",
    log:
        "results/logs/purified/{protocol}/{network}__{paradigm}/seed{seed}/{attack}__{purifier}.log",
    resources:
        **paper.resources(
            "results/purified/{protocol}/{network}__{paradigm}/seed{seed}/{attack}__{purifier}.npz"
        ),
    run:
        paper.make(output[0], log[0], workflow.cores)


rule purified_clean:
    input:
        paper.inputs("results/purified/{protocol}/clean/{purifier}.npz"),
    output:
        "results/purified/{protocol}/clean/{purifier}.npz",
    log:
        "results/logs/purified/{protocol}/clean/{purifier}.log",
    resources:
        **paper.resources("results/purified/{protocol}/clean/{purifier}.npz"),
    run:
        paper.make(output[0], log[0], workflow.cores)
