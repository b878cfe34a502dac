"""Rows on request: conditions as a person writes them (`given`), and samples that meet them.

conditional              `sample(given=, balance=)` and `complete` for every model
conditional_forest       exact, by two passes of messages
conditional_records      matching rows where there are enough, clamped moves where not
evidence                 what a condition leaves of each code
"""
