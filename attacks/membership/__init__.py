"""Attacks that ask: was this person in the training data?"""
