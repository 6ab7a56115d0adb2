"""The work of the long stages: what a run is made from, and how it is made.

Each kind of work is a `Task` in a file of its own: its fingerprint covers exactly what DVC tracks for the stage,
and its `make` fills a folder. The stage and the pool that goes before it carry out the same tasks. The hash of a
stage's code covers the files that carry it out, so scoring can change without training anything again.
"""
