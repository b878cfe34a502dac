"""Spark: the engine, its copy of one moment, and what it says no with."""
