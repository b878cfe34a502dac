"""Declared constraints, enforced: forbidden pairs of codes in the moves, conditional decoding, a check of every sample.

`Enforcement` is the one entry; each kind of constraint has a file of its own, listed in `enforcement.KINDS`.
"""
