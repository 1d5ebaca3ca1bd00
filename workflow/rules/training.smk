rule checkpoint:
    input:
        paper.inputs(
            "results/checkpoints/{protocol}/{network}__{paradigm}/seed{seed}.safetensors"
        ),
    output:
        "results/checkpoints/{protocol}/{network}__{paradigm}/seed{seed}.safetensors",
    log:
        "results/logs/checkpoints/{protocol}/{network}__{paradigm}/seed{seed}.log",
    resources:
        **paper.resources(
            "results/checkpoints/{protocol}/{network}__{paradigm}/seed{seed}.safetensors"
        ),
    run:
        paper.make(output[0], log[0], workflow.cores)
