"""Uploads as they come, in pieces of any size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import DataError
from luthier.serve.ingest.receiving import Received, Receiver

TYPE = "multipart/form-data; boundary=cut"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    more = "" if filename is None else f'; filename="{filename}"'
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def received(folder: Path, body: bytes, size: int = 1 << 16, kind: str = TYPE) -> Received:
    receiver = Receiver(kind, folder)
    try:
        for at in range(0, len(body), size):
            receiver.write(body[at : at + size])
        return receiver.finished()
    finally:
        receiver.close()


BODY = part("name", b"shop") + part("files", b"a = 1\r\n--cu", "src/a.py") + part("files", b"", "empty") + b"--cut--\r\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, len(BODY)))
def test_files_and_the_name_whatever_the_pieces(tmp_path: Path, size: int) -> None:
    found = received(tmp_path, BODY, size)
    assert (found.fields, found.files) == ({"name": "shop"}, (("src/a.py", "0", 11), ("empty", "1", 0)))
    assert [(tmp_path / file).read_bytes() for _, file, _ in found.files] == [b"a = 1\r\n--cu", b""]
    assert found.digest == received(tmp_path, BODY).digest


def test_what_is_told_as_received_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[int, int] = {}

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        kept[status.st_ino] = status.st_size

    monkeypatch.setattr(os, "fsync", fsync)
    found = received(tmp_path, BODY, 3)
    assert [kept.get((tmp_path / file).stat().st_ino) for _, file, _ in found.files] == [11, 0]
    # Their names too.
    assert tmp_path.stat().st_ino in kept


def test_other_uploads_have_other_digests(tmp_path: Path) -> None:
    bodies = [
        part("files", b"a", "x"),
        part("files", b"b", "x"),
        part("files", b"a", "y"),
        part("files", b"a", "x") + part("name", b"shop"),
        part("files", b"", "x") + part("files", b"a", "x"),
    ]
    assert len({received(tmp_path, body + b"--cut--\r\n").digest for body in bodies}) == len(bodies)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "ends in the middle"),
        (b"no upload at all", "no upload"),
        (BODY[:-12], "ends in the middle"),
        (part("name", b"shop") + b"--cut--\r\n", "no file was sent"),
        (part("other", b"1") + b"--cut--\r\n", "not known"),
        (part("name", b"1") + part("name", b"2") + b"--cut--\r\n", "not known"),
        (part("name", b"1" * 2_000) + b"--cut--\r\n", "too long"),
        (part("stuff", b"1", "a.py") + b"--cut--\r\n", "another name"),
        (b"".join(part("files", b"", f"{number}") for number in range(5_001)) + b"--cut--\r\n", "more than 5,000"),
        (b"--cut\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n1\r\n--cut--\r\n", "no upload"),
        (b"--cut\r\nContent-Disposition: form-data\r\n\r\n1\r\n--cut--\r\n", "not known"),
    ],
)
def test_what_is_no_upload_is_told(tmp_path: Path, body: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        received(tmp_path, body)


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 5_000, "multipart/mixed; boundary=a"]
)
def test_another_kind_of_body_is_told(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="no upload"):
        received(tmp_path, BODY, kind=kind)
