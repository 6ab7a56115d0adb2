"""MLflow: workers write journals, one watcher sends them while they work, and `publish` makes the store follow results."""
