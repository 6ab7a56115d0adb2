"""MLflow: workers write journals, a watcher sends them meanwhile, and `publish` makes the store follow the results."""
