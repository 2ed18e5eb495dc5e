"""What is measured or drawn rather than tested: speed, how right the diagnosis is, pictures of the docs. The Makefile runs each file."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy is imported
