"""Networks of one column after another: each is trained by `dpsynth.sgd` and samples from plain arrays."""
