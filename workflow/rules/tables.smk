use rule page as table with:
    input:
        cells=needs("table", "cells"),
        recipe=changed("table"),
    output:
        update("<file>"),
        report(
            update("paper_tables/{experiment}/{table}.csv"),
            caption="../report/rendered.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        update("paper_tables/{experiment}/{table}.md"),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/{table}.tex",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.table),
