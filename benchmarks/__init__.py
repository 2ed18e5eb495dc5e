"""What is measured rather than tested: speed, and how right the diagnosis is. Each file runs by itself: `make bench-...`."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy is imported
