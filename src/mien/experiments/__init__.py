"""Experiments over seeds, folds and data sets: training, judging and comparing many runs."""
