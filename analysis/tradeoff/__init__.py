"""Consistency against stability: the two differences read together."""
