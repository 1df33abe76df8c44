"""Faces that models encode and decode, against the scans of people they have not seen."""
