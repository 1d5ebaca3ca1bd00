rule cell:
    input:
        paper.inputs("results/cells/{protocol}/{surrogates}/{attack}/{column}.json"),
    output:
        "results/cells/{protocol}/{surrogates}/{attack}/{column}.json",
        "results/predictions/{protocol}/{surrogates}/{attack}/{column}.npz",
    log:
        "results/logs/cells/{protocol}/{surrogates}/{attack}/{column}.log",
    resources:
        **paper.resources(
            "results/cells/{protocol}/{surrogates}/{attack}/{column}.json"
        ),
    run:
        paper.make(output[0], log[0], workflow.cores)


rule cost:
    input:
        paper.inputs("results/cells/{protocol}/measured/cost/{column}.json"),
    output:
        "results/cells/{protocol}/measured/cost/{column}.json",
    log:
        "results/logs/cells/{protocol}/measured/cost/{column}.log",
    threads: workflow.cores or 1  # Nothing may run beside what is timed.
    resources:
        **paper.resources("results/cells/{protocol}/measured/cost/{column}.json"),
    run:
        paper.make(output[0], log[0], workflow.cores)


rule measurement:
    input:
        paper.inputs("results/cells/{protocol}/measured/{study}/{paradigm}.json"),
    output:
        "results/cells/{protocol}/measured/{study}/{paradigm}.json",
    log:
        "results/logs/cells/{protocol}/measured/{study}/{paradigm}.log",
    resources:
        **paper.resources("results/cells/{protocol}/measured/{study}/{paradigm}.json"),
    run:
        paper.make(output[0], log[0], workflow.cores)
