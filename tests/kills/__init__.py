"""A study that is killed while it runs, run again, and compared with one that nobody disturbed."""
