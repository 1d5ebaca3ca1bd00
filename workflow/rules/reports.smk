rule comparison:
    input:
        paper.inputs("paper_tables/{experiment}/comparison.md"),
    output:
        "paper_tables/{experiment}/comparison.md",
        "paper_tables/{experiment}/comparison.csv",
        "paper_tables/{experiment}/claims.csv",
    log:
        "results/logs/reports/{experiment}/comparison.log",
    run:
        paper.make(output[0], log[0], workflow.cores)


rule audit:
    input:
        paper.inputs("paper_tables/{experiment}/audit.md"),
    output:
        "paper_tables/{experiment}/audit.md",
        "paper_tables/{experiment}/audit.csv",
    log:
        "results/logs/reports/{experiment}/audit.log",
    run:
        paper.make(output[0], log[0], workflow.cores)


rule metrics:
    input:
        paper.inputs("paper_tables/{experiment}/metrics.yaml"),
    output:
        "paper_tables/{experiment}/metrics.yaml",
        "paper_tables/{experiment}/parameters.yaml",
    log:
        "results/logs/reports/{experiment}/metrics.log",
    run:
        paper.make(output[0], log[0], workflow.cores)


rule run_record:
    input:
        paper.inputs("paper_tables/{experiment}/run.json"),
    output:
        "paper_tables/{experiment}/run.json",
    log:
        "results/logs/reports/{experiment}/run.log",
    run:
        paper.make(output[0], log[0], workflow.cores)


rule page:
    input:
        paper.inputs("paper_tables/{experiment}/index.html"),
    output:
        "paper_tables/{experiment}/index.html",
    log:
        "results/logs/reports/{experiment}/index.log",
    run:
        paper.make(output[0], log[0], workflow.cores)


rule pdf:
    input:
        paper.inputs("paper_tables/{experiment}/paper.pdf"),
    output:
        "paper_tables/{experiment}/paper.pdf",
    log:
        "results/logs/reports/{experiment}/paper.log",
    run:
        paper.make(output[0], log[0], workflow.cores)
