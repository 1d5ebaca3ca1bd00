use rule dataset as tae with:
    input:
        surrogate=needs("tae", "surrogate"),
        test=needs("tae", "test"),
        helper=needs("tae", "helper"),
        recipe=changed("tae"),
    pathvars:
        file="results/taes/<surrogate>/{attack}.npz",
