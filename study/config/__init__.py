"""What a study declares: the schema of params.yaml, its checks and its grid. Needs no torch."""
