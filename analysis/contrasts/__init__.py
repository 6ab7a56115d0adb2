"""Differences from the control: estimates, intervals, tests, verdicts."""
