use rule dataset as page with:
    input:
        findings=needs("page", "findings"),
        tables=needs("page", "tables"),
        figures=needs("page", "figures"),
        cells=needs("page", "cells"),
        run=needs("page", "run"),
        recipe=changed("page"),
    output:
        # Files in git: if a job fails, it leaves the ones before it.
        report(update("<file>"), category="Page", labels={"experiment": "{experiment}"}),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/index.html",


use rule page as audit with:
    input:
        recipe=changed("audit"),
    output:
        update("<file>"),
        update("paper_tables/{experiment}/audit.csv"),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/audit.md",


use rule page as findings with:
    input:
        cells=needs("findings", "each table"),
        recipe=changed("findings"),
    output:
        update("<file>"),
    pathvars:
        file="paper_tables/{experiment}/findings.json",


use rule page as comparison with:
    input:
        cells=needs("comparison", "each table"),
        recipe=changed("comparison"),
    output:
        update("<file>"),
        update("paper_tables/{experiment}/comparison.csv"),
        update("paper_tables/{experiment}/claims.csv"),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/comparison.md",


use rule page as metrics with:
    input:
        cells=needs("metrics", "each table"),
        recipe=changed("metrics"),
    output:
        update("<file>"),
        update("paper_tables/{experiment}/parameters.yaml"),
        update("paper_tables/{experiment}/headline.yaml"),
        update("<file>.prov.json"),
    pathvars:
        file="paper_tables/{experiment}/metrics.yaml",


use rule page as run_record with:
    input:
        artifacts=needs("run_record", "artifacts"),
        recipe=changed("run_record"),
    output:
        update("<file>"),
    pathvars:
        file="paper_tables/{experiment}/run.json",


use rule page as pdf with:
    input:
        findings=needs("pdf", "findings"),
        tables=needs("pdf", "tables"),
        figures=needs("pdf", "figures"),
        run=needs("pdf", "run"),
        recipe=changed("pdf"),
    pathvars:
        file="paper_tables/{experiment}/paper.pdf",
