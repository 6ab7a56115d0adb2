"""Where things lie in a study's folder; every stage runs with that folder as its own."""

from __future__ import annotations

from pathlib import Path

DVC = Path("dvc.yaml")
PARAMS = Path("params.yaml")
RESOLVED = Path("resolved.json")
"""What follows from params.yaml, the tuned values and the code, by the keys that stages depend on."""
CORPUS = Path("corpus")
TEACHERS = Path("teachers")
EMBEDDINGS = Path("embeddings")
RUNS = Path("runs")
SCORES = Path("scores")
RESULTS = Path("results")
REPORT = Path("report")
LOGS = Path("logs")
"""What each model's training printed, in a file of its own; neither DVC nor git knows of it."""
PUBLISHED = Path("published.json")
STAMPS = {"teachers": Path("pool-teachers.stamp"), "students": Path("pool.stamp")}
"""What the pool leaves of each kind that it makes; the same bytes each time."""
DECLARATION = Path("declaration.json")
"""What was decided of the analysis before there were results; made by hand, kept in git."""
