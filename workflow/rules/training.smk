use rule dataset as checkpoint with:
    input:
        train=needs("checkpoint", "train"),
        recipe=changed("checkpoint"),
    pathvars:
        file="results/checkpoints/<surrogate>.safetensors",


use rule dataset as ensemble with:
    input:
        train=needs("ensemble", "train"),
        surrogates=needs("ensemble", "surrogates"),
        recipe=changed("ensemble"),
    pathvars:
        file="results/checkpoints/{protocol}/ensemble/{network}__{paradigm}/seed{seed}.safetensors",


use rule dataset as imported with:
    input:
        recipe=changed("imported"),
    pathvars:
        file="results/checkpoints/{protocol}/{network}__{victim}/seed0.safetensors",


use rule dataset as helper with:
    input:
        train=needs("helper", "train"),
        teacher=needs("helper", "teacher"),
        recipe=changed("helper"),
    pathvars:
        file="results/checkpoints/{protocol}/{helper}__{objective}/seed0.safetensors",
