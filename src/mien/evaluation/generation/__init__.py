"""Faces that models make up, against the training data and by networks that tell people apart."""
