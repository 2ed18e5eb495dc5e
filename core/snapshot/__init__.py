"""What one picture shows of a run: plain arrays and figures, made from training and diagnosis."""
