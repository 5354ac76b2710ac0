"""What is minimised, and how near the minimum a point is: problems, shapes, certificates."""
