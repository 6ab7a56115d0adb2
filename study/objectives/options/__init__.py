"""What can be set of the objectives, in files that need no torch, so that params.yaml is checked at once."""
