"""The crossed linear mixed model: design, REML, predictions."""
