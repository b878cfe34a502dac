"""Gibbs: the inherited checks."""

from __future__ import annotations

from dpsynth.tabular.gibbs import Gibbs
from tests.conformance.generator import GeneratorConformance


class TestGibbs(GeneratorConformance):
    def make(self):
        return Gibbs()
