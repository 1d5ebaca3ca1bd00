use rule page as figure with:
    input:
        cells=needs("figure", "cells"),
        recipe=changed("figure"),
    output:
        update("<file>"),
        report(
            update("paper_tables/{experiment}/{figure}.png"),
            caption="../report/rendered.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        update("paper_tables/{experiment}/{figure}.svg"),
        update("paper_tables/{experiment}/{figure}.md"),
        update("paper_tables/{experiment}/{figure}.tex"),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/{figure}.pdf",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.figure),
