use rule dataset as purified with:
    input:
        images=needs("purified", "images"),
        test=needs("purified", "test"),
        helper=needs("purified", "helper"),
        recipe=changed("purified"),
    pathvars:
        file="results/purified/<surrogate>/{attack}__{purifier}.npz",


use rule purified as purified_clean with:
    pathvars:
        file="results/purified/{protocol}/clean/{purifier}.npz",
