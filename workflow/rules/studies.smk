use rule dataset as trigger with:
    input:
        checkpoints=needs("trigger", "checkpoints"),
        recipe=changed("trigger"),
    output:
        update("<file>"),
    pathvars:
        file="results/cells/{protocol}/measured/trigger/{paradigm}.json",


use rule trigger as flip with:
    input:
        victim=needs("flip", "victim"),
        test=needs("flip", "test"),
        recipe=changed("flip"),
    pathvars:
        file="results/cells/{protocol}/measured/flip/{paradigm}.json",


use rule trigger as concept with:
    input:
        victim=needs("concept", "victim"),
        undefended=needs("concept", "undefended"),
        adversarial=needs("concept", "adversarial"),
        test=needs("concept", "test"),
        recipe=changed("concept"),
    pathvars:
        file="results/cells/{protocol}/measured/concept/{paradigm}.json",


use rule trigger as theory with:
    input:
        victims=needs("theory", "victims"),
        adversarial=needs("theory", "adversarial"),
        train=needs("theory", "train"),
        test=needs("theory", "test"),
        recipe=changed("theory"),
    pathvars:
        file="results/cells/{protocol}/measured/theory/{paradigm}.json",


use rule trigger as cost with:
    input:
        victim=needs("cost", "victim"),
        test=needs("cost", "test"),
        helper=needs("cost", "helper"),
        recipe=changed("cost"),
    pathvars:
        file="results/cells/{protocol}/measured/cost/{column}.json",
    threads: workflow.cores or 1  # Nothing may run beside what is timed.


use rule trigger as whitebox with:
    input:
        victims=needs("whitebox", "victims"),
        test=needs("whitebox", "test"),
        recipe=changed("whitebox"),
    pathvars:
        file="results/cells/{protocol}/measured/whitebox/{paradigm}.json",


use rule trigger as informed with:
    input:
        victims=needs("informed", "victims"),
        surrogates=needs("informed", "surrogates"),
        train=needs("informed", "train"),
        test=needs("informed", "test"),
        helper=needs("informed", "helper"),
        recipe=changed("informed"),
    pathvars:
        file="results/cells/{protocol}/measured/informed/{knows}/{attack}/{column}.json",
