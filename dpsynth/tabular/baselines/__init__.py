"""Generators without any guarantee, to hold the others against: they read the rows themselves and add no noise.

    protocol.py     what a baseline is; no plan, no events, no price
    sdv.py          GaussianCopula, CTGAN and TVAE of SDV 2, an optional extra under the Business Source Licence 1.1
    interchange.py  canonical columns to what SDV reads, and back

`dpsynth.tabular.BASELINES` is the whole list. None of them is a `Generator`, so none can be planned, reserved or fitted
by `fit_model`, and the gate rejects whatever they made (docs/adr/0005-baselines-without-a-guarantee.md).
"""
