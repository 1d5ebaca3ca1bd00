rule figure:
    input:
        paper.inputs("paper_tables/{experiment}/{figure}.pdf"),
    output:
        "paper_tables/{experiment}/{figure}.pdf",
        report(
            "paper_tables/{experiment}/{figure}.png",
            caption="../report/rendered.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        "paper_tables/{experiment}/{figure}.md",
        "paper_tables/{experiment}/{figure}.tex",
    log:
        "results/logs/figures/{experiment}/{figure}.log",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.figure),
    run:
        paper.make(output[0], log[0], workflow.cores)
