"""A person's own file: what loads, what is refused in which words, and that nothing but ConfigError ever comes out."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.config import LIMITS, ConfigError, DataConfig, RunConfig
from core.data import load
from core.proposal import describe
from core.training.trainer import Trainer

TABLE = "age,size,kind\n1,0.5,cat\n2,0.25,dog\n3,0.5,cat\n4,1.5,dog\n5,2.5,cat\n"


@pytest.fixture
def written(tmp_path):
    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def file_data(path, **fields):
    return load(DataConfig(source="file", path=path, **{"test_fraction": 0, **fields}))


def npz(compressed=False, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def npy(header, body=b"", version=b"\1\0"):
    """An array file with a header of one's own."""
    text = header.encode("latin1")
    length = struct.pack("<H", len(text)) if version == b"\1\0" else struct.pack("<I", len(text))
    return b"\x93NUMPY" + version + length + text + body


def zipped(method=zipfile.ZIP_STORED, **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(shape, descr="'<f8'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def by_inputs(dataset):
    """{input row: target} of the training part, whose order is random."""
    targets = [dataset.target_names[t] for t in dataset.train.targets] if dataset.labels else map(tuple, dataset.train.targets)
    return dict(zip(map(tuple, dataset.train.inputs), targets))


rng = np.random.default_rng(0)
X, Y = rng.standard_normal((20, 3)), np.arange(20) % 2


class TestCsv:
    def test_last_column_is_the_target_when_none_is_named(self, written):
        dataset = file_data(written(TABLE))
        assert (dataset.input_names, dataset.target_names) == (("age", "size"), ("cat", "dog"))
        assert by_inputs(dataset) == {(1, 0.5): "cat", (2, 0.25): "dog", (3, 0.5): "cat", (4, 1.5): "dog", (5, 2.5): "cat"}

    def test_regression_on_a_named_column(self, written):
        dataset = file_data(written("age,size,weight\n1,0.5,3\n2,0.25,4\n"), target="age", task="regression")
        assert (dataset.input_names, dataset.target_names, dataset.labels) == (("size", "weight"), ("age",), False)
        assert by_inputs(dataset) == {(0.5, 3): (1,), (0.25, 4): (2,)}

    @pytest.mark.parametrize("task", ["classification", "regression"])
    def test_several_target_columns_are_used_as_they_are(self, written, task):
        dataset = file_data(written("a,b,c\n1,0,7\n0,1,8\n1,1,9\n"), target=("b", "a"), task=task)
        assert (dataset.labels, dataset.outputs, dataset.target_names) == (False, 2, ("b", "a"))
        assert by_inputs(dataset) == {(7,): (0, 1), (8,): (1, 0), (9,): (1, 1)}

    def test_number_labels_are_sorted_as_numbers(self, written):
        lines = "".join(f"{i},{label}\n" for i, label in enumerate([10, 9, "9.0", 10, 100, 9, 100]))
        assert file_data(written("a,label\n" + lines)).target_names == ("9", "10", "100")

    def test_true_and_false_are_one_and_zero(self, written):
        dataset = file_data(written("a,self,y\n1,True,0\n2,False,1\n3,true,0\n4,FALSE,1\n"))
        assert sorted(map(tuple, dataset.train.inputs)) == [(1, 1), (2, 0), (3, 1), (4, 0)]

    def test_values_outside_the_range_of_integers(self, written):
        dataset = file_data(written("a,self,y\n1,100000000000000000000000,0\n2,1,1\n"))
        assert sorted(map(tuple, dataset.train.inputs)) == [(1, 1e23), (2, 1)]

    def test_marks_that_spreadsheets_leave(self, written):
        text = '\ufeff"age", size ,kind\r\n1, 0.5,"cat, big"\r\n2,0.25,dog\r\n\r\n3,1e3,dog\r\n'
        dataset = file_data(written(text))
        assert (dataset.input_names, dataset.target_names) == (("age", "size"), ("cat, big", "dog"))
        assert by_inputs(dataset)[(3, 1000)] == "dog"

    def test_counted_columns_beside_a_name_are_a_header(self, written):
        assert file_data(written("0,1,label\n5,6,a\n7,8,b\n")).input_names == ("0", "1")

    def test_more_cells_than_are_kept_become_a_sample_of_the_rows(self, written, monkeypatch):
        monkeypatch.setitem(LIMITS, "file_cells", 9)
        rows = set(by_inputs(file_data(written(TABLE))).items())
        monkeypatch.undo()
        assert len(rows) == 3 and rows < set(by_inputs(file_data(written(TABLE))).items())

    @pytest.mark.parametrize(("text", "rows", "names"), [
        ("5.1,3.5,setosa\n4.9,3.0,virginica\n5.0,3.1,setosa\n", 3, ("column 1", "column 2")),
        ("0,1\n2,3\n4,1\n2,3\n", 4, ("column 1",)),
        ("a;b\n1;2\n2;3\n", 2, ("a",)),
        (",a,y\n0,1,2\n1,2,3\n", 2, ("column 1", "a")),
        ("a,b,a\n1,2,1\n2,3,2\n3,1,1\n", 3, ("a", "b")),
        ("a,b,y\n1,,0\n2,NA,1\n3,?,0\n4,1,1\n5,2,1\n", 5, ("a", "b")),
        ("a,y\n1,\n2,x\n3,z\n", 2, ("a",)),
        ("a,b,y\n1,7,0\n2,7,1\n", 2, ("a",)),
        ("a,b,y\n1,red,0\n2,blue,1\n3,red,1\n", 3, ("a", "b=blue", "b=red")),
        (b"a,gr\xf6sse\n1,2\n2,3\n", 2, ("a",)),
    ])  # fmt: skip
    def test_what_people_have_loads(self, written, text, rows, names):
        dataset = file_data(written(text))
        assert (dataset.rows, dataset.input_names) == (rows, names)

    def test_samples_bounds_the_rows_and_keeps_the_classes(self, written):
        rows = "".join(f"{i},{i % 2}\n" for i in range(100))
        dataset = file_data(written("a,y\n" + rows), samples=10)
        assert np.bincount(dataset.train.targets).tolist() == [5, 5]

    def test_constant_columns_of_pictures_are_harmless(self, written):
        names = [f"p{i}" for i in range(64)]
        rows = "".join(f"0,{i}" + ",5" * 62 + f",{i % 2}\n" for i in range(4))
        assert file_data(written(",".join([*names, "y"]) + "\n" + rows)).inputs == 64


class TestNpz:
    @pytest.mark.parametrize("compressed", [False, True])
    def test_integers_are_labels(self, written, compressed):
        dataset = file_data(written(npz(compressed, X=X, y=Y * 3), "d.npz"))
        assert (dataset.labels, dataset.target_names, dataset.input_names) == (True, ("0", "3"), ("x1", "x2", "x3"))
        assert by_inputs(dataset) == {tuple(x): str(3 * y) for x, y in zip(X, Y)}

    @pytest.mark.parametrize("labels", [np.array(["no", "yes"]), np.array([b"no", b"yes"])])
    def test_text_labels(self, written, labels):
        assert file_data(written(npz(X=X, y=labels[Y]))).target_names == ("no", "yes")

    def test_lone_surrogates_are_replaced(self, written):
        labels = npy(header("(20,)", "'<U1'"), struct.pack("<20I", *[0xD800, 65] * 10))
        assert file_data(written(zipped(X=GOOD_X, y=labels))).target_names == ("A", "\ufffd")

    def test_truth_values_are_labels_or_numbers(self, written):
        path = written(npz(X=X > 0, y=Y == 1))
        assert file_data(path).target_names == ("False", "True")
        regression = file_data(path, task="regression")
        assert set(regression.train.targets.ravel()) == set(regression.train.inputs.ravel()) == {0, 1}

    @pytest.mark.parametrize("task", ["classification", "regression"])
    def test_a_matrix_is_used_as_it_is(self, written, task):
        values = np.asfortranarray(rng.random((20, 4)))
        dataset = file_data(written(npz(X=X, y=values)), task=task)
        assert (dataset.labels, dataset.target_names) == (False, ("y1", "y2", "y3", "y4"))
        assert by_inputs(dataset) == {tuple(x): tuple(y) for x, y in zip(X, values)}
        assert dataset.train.targets.flags.c_contiguous

    def test_values_for_regression(self, written):
        dataset = file_data(written(npz(X=np.asfortranarray(X), y=X[:, 0])), task="regression")
        assert dataset.target_names == ("y",) and (dataset.train.targets[:, 0] == dataset.train.inputs[:, 0]).all()

    @pytest.mark.parametrize("dtype", [">f4", "<f2", "i1", "u8"])
    def test_every_number_type(self, written, dtype):
        values = (10 * X + 50).astype(dtype)
        dataset = file_data(written(npz(X=values, y=Y)))
        assert dataset.train.inputs.dtype == float
        assert sorted(map(tuple, dataset.train.inputs)) == sorted(map(tuple, values.astype(float)))


def refusal(path, **fields):
    with pytest.raises(ConfigError) as caught:
        file_data(path, **fields)
    assert "reading it failed" not in caught.value.message
    return caught.value.field, caught.value.message


BAD_CSV = {
    "empty": ("", {}, "path", "must not be empty"),
    "blank": ("\n\n", {}, "path", "blanks only"),
    "header only": ("a,b\n", {}, "path", "nothing but a header"),
    "one row": ("a,b\n1,2\n", {"task": "regression"}, "path", "at least 2 rows"),
    "one column": ("a\n1\n2\n", {}, "path", "two columns"),
    "short row": ("a,b,y\n1,2,3\n1,2\n", {}, "path", "at least 2 rows"),
    "long row": ("a,b,y\n1,2,3\n1,2,3,4\n", {}, "path", "saw 4"),
    "infinite": ("a,b,y\n1,inf,0\n2,1,1\n", {}, "path", "column 'b'"),
    "too large for a float": ("a,b,y\n1,1" + "0" * 400 + ",0\n2,1,1\n", {}, "path", "column 'b'"),
    "enormous": ("a,b,y\n1,1e200,0\n2,1,1\n", {}, "path", "column 'b'"),
    "text for regression": (TABLE, {"task": "regression"}, "target", "'cat' found in column 'kind'"),
    "text in a target matrix": (TABLE, {"target": ("age", "kind")}, "target", "'cat' found in column 'kind'"),
    "target absent": (TABLE, {"target": "price"}, "target", "'price'"),
    "target twice": (TABLE, {"target": ("age", "age")}, "target", "once"),
    "nothing but targets": ("a,b\n1,2\n2,3\n", {"target": ("a", "b")}, "target", "input"),
    "continuous": ("a,y\n" + "".join(f"{i},{i % 11 + 0.5}\n" for i in range(40)), {}, "target", "regression"),
    "a class for each row": ("a,y\n" + "".join(f"{i},id{i}\n" for i in range(9)), {}, "target", "recur"),
    "too many classes": ("a,y\n" + "".join(f"{i},{i % 101}\n" for i in range(300)), {}, "target", "100 classes"),
    "label of many characters": ("a,y\n1," + "x" * 300 + "\n2,z\n", {}, "target", "200 characters"),
    "open quote": ('a,b,y\n1,"2,0\n2,1,1\n', {}, "path", "well-formed"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16")[:-1], {}, "path", "UTF-16 is damaged"),
    "pickle": (pickle.dumps([1, 2, 3]), {}, "path", "pickle"),
    "old pickle": (pickle.dumps([1, 2, 3], protocol=0), {}, "path", ""),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(1, 256)), {}, "path", "no text"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_csv_is_refused_in_its_own_words(written, case):
    content, fields, field, words = BAD_CSV[case]
    where, message = refusal(written(content), **fields)
    assert where == f"data.{field}"
    assert words in message


GOOD_X, GOOD_Y = array(X), array(Y)
BAD_NPZ = {
    "cut short": (npz(X=X, y=Y)[:-40], {}, "damaged or cut short"),
    "empty archive": (b"PK\5\6" + bytes(18), {}, "holds nothing"),
    "no y": (npz(X=X), {}, "holds 'X'"),
    "not an array": (zipped(X=b"hello", y=GOOD_Y), {}, "X is not an array"),
    "X flat": (npz(X=X[:, 0], y=Y), {}, "shape (rows, columns), or pictures (rows, height, width); was (20,)"),
    "y of three axes": (npz(X=X, y=X[:, :, None]), {}, "shape (rows,)"),
    "y a single number": (npz(X=X, y=np.array(1)), {}, "shape (rows,)"),
    "y shorter": (npz(X=X, y=Y[:-1]), {}, "as many rows in y as in X"),
    "no rows": (npz(X=X[:0], y=Y[:0]), {}, "must hold rows"),
    "one row": (npz(X=X[:1], y=Y[:1]), {}, "at least 2 rows"),
    "no columns": (npz(X=X[:, :0], y=Y), {}, "must hold rows and columns"),
    "complex": (npz(X=X + 1j, y=Y), {}, "in X; its type is 'complex128'"),
    "objects": (npz(X=X.astype(object), y=Y), {}, "in X; its type is 'object'"),
    "object labels": (npz(X=X, y=Y.astype(object)), {}, "in y; its type is 'object'"),
    "text": (npz(X=X.astype(str), y=Y), {}, "plain numbers in X"),
    "dates": (npz(X=X, y=Y.astype("M8[D]")), {}, "plain numbers in y"),
    "records": (npz(X=np.zeros((20, 3), "f4,f8"), y=Y), {}, "plain numbers in X"),
    "text for regression": (npz(X=X, y=np.array(["no", "yes"])[Y]), {"task": "regression"}, "text such as 'no' found in column 'y'"),
    "text matrix": (npz(X=X, y=np.array(["no", "yes"])[X.astype(int) % 2]), {}, "found in column 'y1'"),
    "infinite": (npz(X=np.where(X > 1, np.inf, X), y=Y), {}, "infinite"),
    "continuous": (npz(X=X, y=X[:, 0]), {}, "regression"),
    "too many columns": (npz(X=np.zeros((2, 16_385), "i1"), y=Y[:2]), {}, "16,384 columns"),
    "too many outputs": (npz(X=X[:2], y=np.zeros((2, 16_385), "i1")), {}, "16,384 columns"),
    "too many numbers": (npz(True, X=np.zeros((20_000, 900), "i1"), y=np.zeros(20_000)), {}, "16,777,216 numbers"),
    "claims a gigabyte": (zipped(X=npy(header("(1000, 125000)")), y=GOOD_Y), {}, "16,777,216 numbers"),
    "claims wide text": (zipped(X=GOOD_X, y=npy(header("(20,)", "'<U99999999'"))), {}, "16,777,216 numbers"),
    "claims more than it holds": (zipped(X=npy(header("(20, 3)"), bytes(80)), y=GOOD_Y), {}, "X is shorter"),
    "holds more than it claims": (zipped(X=npy(header("(20, 3)"), bytes(481)), y=GOOD_Y), {}, "X is longer"),
    "negative size": (zipped(X=npy(header("(-20, -3)"), bytes(480)), y=GOOD_Y), {}, "negative"),
    "text of no width": (zipped(X=GOOD_X, y=npy(header("(20,)", "'<U0'"))), {}, "plain numbers in y"),
    "code for a header": (zipped(X=npy("__import__('os').system('true')\n"), y=GOOD_Y), {}, "X is not an array"),
    "deep header": (zipped(X=npy("(" * 3000), y=GOOD_Y), {}, "X is not an array"),
    "deep minus": (zipped(X=npy("-" * 3000 + "1"), y=GOOD_Y), {}, "X is not an array"),
    "long header": (zipped(X=npy(" " * 60_000), y=GOOD_Y), {}, "X is not an array"),
    "member named twice": (zipped(X=GOOD_X, y=GOOD_Y).replace(b"y.npy", b"X.npy"), {}, "holds 'X', 'X'"),
    "bzip2": (zipped(zipfile.ZIP_BZIP2, X=GOOD_X, y=GOOD_Y), {}, "compressed"),
    "thousand members": (zipped(**{f"a{i}": b"" for i in range(1000)}), {}, "many more"),
    "workbook": (zipped(**{"xl/workbook": b"<xml/>"}), {}, "xl/workbook"),
    "target column": (npz(X=X, y=Y), {"target": "label"}, "must be null for arrays, whose targets are an array of their own; was 'label'"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_npz_is_refused_in_its_own_words(written, case):
    content, fields, words = BAD_NPZ[case]
    where, message = refusal(written(content, "data.npz"), **fields)
    assert where == ("data.target" if "target" in fields else "data.path")
    assert words in message


class TestPaths:
    def test_missing_file(self, tmp_path):
        for path in (tmp_path / "none.csv", tmp_path / "none" / "none.csv"):
            assert "no 'none.csv'" in refusal(str(path))[1]

    def test_folder(self, tmp_path):
        assert "must be a file" in refusal(str(tmp_path))[1]

    def test_devices_and_pipes_are_not_opened(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for path in ("/dev/zero", str(tmp_path / "pipe")):
            assert "must be a file" in refusal(path)[1]

    @pytest.mark.parametrize("path", ["a" * 4000, "./" * 2000])
    def test_odd_paths(self, path):
        assert refusal(path)[0] == "data.path"

    def test_unlike_its_name(self, written):
        assert "zip archive" in refusal(written(TABLE, "table.npz"))[1]
        assert file_data(written(npz(X=X, y=Y), "upload")).inputs == 3

    def test_too_large(self, tmp_path):
        path = tmp_path / "large.csv"
        with open(path, "wb") as file:
            file.truncate(LIMITS["file_bytes"] + (16 << 20))
        assert "at most 64 MiB; 'large.csv' has 80 MiB" in refusal(str(path))[1]


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMBS = {
    "zeros that deflate a thousandfold": lambda: zipped(zipfile.ZIP_DEFLATED, X=npy(header("(20, 3)"), bytes(1 << 26)), y=GOOD_Y),
    "a gigabyte in the header": lambda: zipped(X=npy(header("(134217728,)")), y=GOOD_Y),
    "one endless line": lambda: b"a," * (1 << 24),
    "one endless quote": lambda: b'a,b\n"' + b'x\n","' * (1 << 22),
    "more rows than allowed": lambda: b"a,b\n" + b"1,2\n" * (1 << 23),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_stays_near_the_size_of_the_file(written, bomb):
    content = BOMBS[bomb]()
    path = written(content)
    assert peak_of(lambda: refusal(path)) < 3 * len(content) + (16 << 20)


def mutated(originals):
    """Good files with a stretch of bytes replaced, cut out or repeated."""

    @st.composite
    def draw_one(draw):
        content = draw(st.sampled_from(originals))
        for _ in range(draw(st.integers(1, 3))):
            start, stop = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
            stop = min(stop, start + draw(st.integers(0, 40)))
            content = content[:start] + draw(st.binary(max_size=8) | st.just(2 * content[start:stop])) + content[stop:]
        return content

    return draw_one()


CSV_LINES = st.lists(st.sampled_from(["a", "b", "y", "1", "2", "0.5", "nan", "inf", "-", "True", '"', "x y", "", "é", "1e999"]), min_size=1)
CSV_TEXT = st.lists(CSV_LINES.map(",".join), max_size=8).map("\n".join).map(str.encode)
GOOD_FILES = [TABLE.encode(), npz(X=X, y=Y), npz(True, X=X, y=Y.astype(str)), npz(X=X, y=X)]
HEADERS = st.lists(st.sampled_from([*"(){}[]'-+*,: 019", "shape", "descr", "'<f8'", "1e9", "True", "\n"]), max_size=40).map("".join)


@pytest.mark.filterwarnings("ignore::Warning")
@settings(max_examples=400)
@given(
    content=st.binary(max_size=300)
    | CSV_TEXT
    | mutated(GOOD_FILES)
    | HEADERS.map(lambda text: zipped(X=npy(text, bytes(480)), y=GOOD_Y))
    | st.binary(max_size=100).map(lambda content: zipped(zipfile.ZIP_DEFLATED, X=content, y=GOOD_Y)),
    task=st.sampled_from(["classification", "regression"]),
    target=st.sampled_from([None, "a", "y", ("a", "y"), ("é",)]),
)
@example(content=b"PK\3\4", task="regression", target=None)
@example(content=b"\x93NUMPY", task="regression", target=None)
def test_nothing_but_config_error_comes_out(tmp_path_factory, content, task, target):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    described = DataConfig(source="file", path=str(path))
    for action in (lambda: file_data(str(path), task=task, target=target, scaling="standard"), lambda: describe(described)):
        try:
            result = action()
        except ConfigError as error:
            assert error.field in ("data.path", "data.target") and error.message
        else:
            assert not hasattr(result, "train") or np.isfinite(result.train.inputs).all()


def test_a_run_is_measured_by_the_rows_of_its_file(written):
    wide = written(npz(X=rng.random((20, 2000)), y=Y))
    layers = [{"units": 1, "activation": "sigmoid"}]
    trainer = Trainer(RunConfig.from_dict({"data": {"source": "file", "path": wide}, "layers": layers}))
    assert trainer.dataset.rows == 20
