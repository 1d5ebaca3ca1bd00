rule figure:
    input:
        paper.inputs("paper_tables/{experiment}/{figure}.pdf"),
    output:
        "paper_tables/{experiment}/{figure}.pdf",
        "paper_tables/{experiment}/{figure}.png",
        "paper_tables/{experiment}/{figure}.md",
    log:
        "results/logs/figures/{experiment}/{figure}.log",
    run:
        paper.make(output[0], log[0], workflow.cores)
