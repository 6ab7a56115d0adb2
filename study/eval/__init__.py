"""Scores: arrays of embeddings in, tidy rows of `study.records` out. No model is run here."""
