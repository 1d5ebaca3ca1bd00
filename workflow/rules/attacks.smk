use rule dataset as tae with:
    input:
        surrogate=needs("tae", "surrogate"),
        test=needs("tae", "test"),
        helper=needs("tae", "helper"),
        recipe=changed("tae"),
    pathvars:
        file="results/taes/<surrogate>/{attack}.npz",


use rule dataset as excerpt with:
    input:
        images=needs("excerpt", "images"),
        test=needs("excerpt", "test"),
        recipe=changed("excerpt"),
    pathvars:
        file="results/excerpts/<surrogate>/{attack}.npz",


use rule excerpt as excerpt_of_data with:
    pathvars:
        file="results/excerpts/{dataset}/{split}.npz",
