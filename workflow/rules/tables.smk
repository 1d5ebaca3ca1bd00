rule table:
    input:
        paper.inputs("paper_tables/{experiment}/{table}.tex"),
    output:
        "paper_tables/{experiment}/{table}.tex",
        report(
            "paper_tables/{experiment}/{table}.csv",
            caption="../report/rendered.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        "paper_tables/{experiment}/{table}.md",
    log:
        "results/logs/tables/{experiment}/{table}.log",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.table),
    run:
        paper.make(output[0], log[0], workflow.cores)
