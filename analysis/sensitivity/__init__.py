"""What the findings rest on: other models, items left out, collapsed runs."""
