"""Mutated parameter files and input files: tests/test_fuzz.py tries hundreds, benchmarks/fuzz.py thousands.

Case `number` of a kind follows from the seed, the kind and the number alone, so that each can be made again.
"""
