"""Attacks that ask: can somebody be singled out, or two records of one person be joined, by means of the release?"""
