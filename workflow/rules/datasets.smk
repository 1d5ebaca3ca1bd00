rule dataset:
    input:
        paper.inputs("results/datasets/{dataset}/{split}.npz"),
    output:
        "results/datasets/{dataset}/{split}.npz",
    log:
        "results/logs/datasets/{dataset}/{split}.log",
    resources:
        **paper.resources("results/datasets/{dataset}/{split}.npz"),
    run:
        paper.make(output[0], log[0], workflow.cores)
