"""The report: tables, sentences and one HTML page."""
