"""Randomised answers to single questions: each returns its value and the event that it cost."""
