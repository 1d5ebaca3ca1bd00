use rule page as figure with:
    input:
        cells=needs("figure", "cells"),
        recipe=changed("figure"),
    output:
        "<file>",
        report(
            "paper_tables/{experiment}/{figure}.png",
            caption="../report/rendered.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        "paper_tables/{experiment}/{figure}.md",
        "paper_tables/{experiment}/{figure}.tex",
    pathvars:
        file="paper_tables/{experiment}/{figure}.pdf",
    params:
        caption=lambda wildcards: paper.caption(wildcards.experiment, wildcards.figure),
