"""Mutated parameter files and input files: what tests/test_fuzz.py tries a few hundred of, benchmarks/fuzz.py thousands.

Case `number` of a kind follows from the seed, the kind and the number alone, so that each can be made again.
"""
