"""Attacks on a generator that may be run again: each is one file, one line in `attacks.generators.bench`."""
