use rule dataset as cell with:
    input:
        victims=needs("cell", "victims"),
        images=needs("cell", "images"),
        test=needs("cell", "test"),
        recipe=changed("cell"),
    output:
        update("<file>"),
        "results/predictions/{protocol}/{surrogates}/{attack}/{column}.npz",
    pathvars:
        file="results/cells/{protocol}/{surrogates}/{attack}/{column}.json",
