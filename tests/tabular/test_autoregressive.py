"""Autoregressive: the inherited checks, and what training adds."""

from __future__ import annotations

from dpsynth.tabular.autoregressive import Autoregressive
from tests.conformance.generator import GeneratorConformance


class TestAutoregressive(GeneratorConformance):
    """With fewer steps than by default: 200 fits of the audit take 100 s otherwise."""

    fits, seen = 60, 400

    def make(self):
        return Autoregressive(steps=40)
