"""Motion that models animate, against recorded clips."""
