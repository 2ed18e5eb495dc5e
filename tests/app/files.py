"""Files to upload."""

import io
import pickle
import zipfile

import numpy as np

ROWS = [f"{i / 7:.3f},{(i * 13) % 29},{'yes' if i % 3 else 'no'}" for i in range(40)]
CSV = "\n".join(["width,height,ripe", *ROWS]).encode()
NUMBERS = "\n".join(["a,b,c", *(f"{i},{i * i % 17},{i / 3:.4f}" for i in range(40))]).encode()
PEOPLE = "\n".join(["id,age,size,kind", *(f"{i + 1},{(i * 7) % 50},{i / 9:.2f},{'ab'[i * 13 % 29 % 2]}" for i in range(60))]).encode()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def zip_bomb():
    """A megabyte that claims to be a thousand."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("X.npy", "y.npy"):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (65_536, 1000)})
            archive.writestr(name, header.getvalue() + bytes(1 << 20))
    return stream.getvalue()


HOSTILE = {
    "empty.csv": b"",
    "pickle.npz": pickle.dumps([1, 2, 3]),
    "objects.npz": npz(X=np.array([{"a": 1}], object), y=np.zeros(1)),
    "bomb.npz": zip_bomb(),
    "noise.csv": bytes(range(256)) * 40,
    "header.csv": b"a,b,c\n",
    "ragged.csv": b"a,b,c\n1,2,3\n3,4,5,6\n",
    "script.csv": b"<script>alert(1)</script>,b\n1,x\n",
    "same.csv": b"a,b\n1,x\n1,y\n1,x\n",
    "wide.npz": npz(X=np.random.default_rng(0).random((4, 17_000)), y=np.array([0, 1, 0, 1])),
}
