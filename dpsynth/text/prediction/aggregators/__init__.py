"""How rows of a bin become one score: one file each.

`AGGREGATORS` is the whole list: name -> "module:class".
"""

AGGREGATORS: dict[str, str] = {
    "difference-clip": "dpsynth.text.prediction.aggregators.difference_clip:DifferenceClip",
    "mean-clip": "dpsynth.text.prediction.aggregators.mean_clip:MeanClip",
}
