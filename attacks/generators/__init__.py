"""Attacks on a procedure: hundreds of its fits, or the likelihoods of its models, instead of one release.

The attacks themselves are in `attacks.shadow`; here are their worlds, fits, statistics and report.
"""
