"""What a run costs before it runs: see `plan`."""

from dpsynth.workspace.cost.plan import CostPlan, plan_cost

__all__ = ["CostPlan", "plan_cost"]
