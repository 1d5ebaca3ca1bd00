use rule page as table with:
    input:
        cells=needs("table", "cells"),
        recipe=changed("table"),
    output:
        "<file>",
        report(
            "paper_tables/{experiment}/{table}.csv",
            caption="../report/rendered.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        "paper_tables/{experiment}/{table}.md",
    pathvars:
        file="paper_tables/{experiment}/{table}.tex",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.table),
