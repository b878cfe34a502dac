"""Attacks that ask: does the release betray a secret of this person beyond what it says about everybody?"""
