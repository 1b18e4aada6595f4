"""Searches over configs: what is searched, the study that remembers its trials, and a trial as its training sees it."""
