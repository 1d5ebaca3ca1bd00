rule table:
    input:
        paper.inputs("paper_tables/{experiment}/{table}.tex"),
    output:
        "paper_tables/{experiment}/{table}.tex",
        "paper_tables/{experiment}/{table}.csv",
        "paper_tables/{experiment}/{table}.md",
    log:
        "results/logs/tables/{experiment}/{table}.log",
    run:
        paper.make(output[0], log[0], workflow.cores)
