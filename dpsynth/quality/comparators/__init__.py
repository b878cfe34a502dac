"""Is this table better than asking the one question privately? DP models trained on the real table, same epsilon.

features.py   columns as bounded numbers; bounds and categories from the schema and from released rows alone
models.py     diffprivlib's models, their neighbours, and what of them does not hold
score.py      several draws, scored on the holdout beside TSTR and TRTR, and the events that they cost
"""
