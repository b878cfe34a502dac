"""Declared checks of generated texts, one file each."""
