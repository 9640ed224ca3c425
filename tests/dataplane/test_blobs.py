"""Blobs, on the sandbox's S3 servers and local folders."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from migrations_app.dataplane import blobs, rclone
from migrations_app.dataplane.blobs import BlobDifference, BlobTotals
from migrations_app.errors import Interrupted, PermanentError, TransientError

ODD_NAMES = [
    "a b.txt",
    "-rf",
    "--",
    "#1",
    "100%",
    "%2e%2e",
    "é/ü ñ/日本語.png",
    "emoji 🐘",
    "quote'\"",
    "[brackets]*?",
    "{curly}",
    "semi;colon&and|pipe",
    "back\\slash",
    "line\nbreak",
    "tab\there",
    "trailing dot.",
    ".hidden",
    "deep/er/and/deeper",
    "= equal",
]


@pytest.fixture
def other_conf(tmp_path, monkeypatch):
    """Writes an rclone.conf of the test's own and makes it the one in force."""

    def write(text: str) -> None:
        path = tmp_path / "rclone.conf"
        path.write_text(text)
        monkeypatch.setenv("RCLONE_CONFIG", str(path))

    return write


def write_tree(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def read_tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_odd_names_and_empty_blobs_survive_the_way_there_and_back(tmp_path, us, eu, bucket):
    files = {name: name.encode() for name in ODD_NAMES} | {"empty": b"", "empty dir/none": b""}
    write_tree(tmp_path / "before", files)
    here, there = bucket(us), bucket(eu)
    blobs.sync(str(tmp_path / "before"), here)
    assert blobs.sync(here, there) == BlobTotals(len(files), sum(map(len, files.values())))
    assert blobs.totals(there) == BlobTotals(len(files), sum(map(len, files.values())))
    assert blobs.differences(here, there) == []
    blobs.sync(there, str(tmp_path / "after"))
    assert read_tree(tmp_path / "after") == files


def test_sync_makes_equal_and_skips_what_is(us, eu, bucket):
    here, there = bucket(us), bucket(eu)
    for name, text in {"same": "1", "changed": "hello", "new": "22"}.items():
        blobs.write_text(f"{here}/{name}", text)
    for name, text in {"same": "1", "changed": "hellO", "extra": "x"}.items():
        blobs.write_text(f"{there}/{name}", text)
    assert set(blobs.differences(here, there)) == {
        BlobDifference("changed", "different"),
        BlobDifference("new", "missing"),
        BlobDifference("extra", "extra"),
    }
    assert blobs.sync(here, there) == BlobTotals(2, len("hello") + len("22"))
    assert blobs.differences(here, there) == []
    assert not blobs.is_file(f"{there}/extra")
    assert blobs.sync(here, there) == BlobTotals(0, 0)


def test_sync_keeps_what_belongs_to_a_blob(us, eu, bucket):
    here, there = bucket(us), bucket(eu)
    told = {"cache-control": "max-age=9", "content-type": "image/x-test", "my-own": "value"}
    options = [f"--metadata-set={name}={value}" for name, value in told.items()]
    rclone.run(["rcat", "--metadata", *options], f"{here}/picture", stdin=b"p")
    blobs.sync(here, there)
    [shown] = json.loads(rclone.run(["lsjson", "--metadata"], there).stdout)
    assert told.items() <= shown["Metadata"].items()


def test_a_missing_source_deletes_nothing(us, eu, bucket):
    here, there = bucket(us, create=False), bucket(eu)
    blobs.write_text(f"{there}/kept", "k")
    with pytest.raises(rclone.PathMissing):
        blobs.sync(here, there)
    with pytest.raises(rclone.PathMissing):
        blobs.differences(here, there)
    assert blobs.totals(there) == BlobTotals(1, 1)


def test_an_interrupted_sync_resumes(tmp_path, us, eu, bucket, monkeypatch):
    class Enough(Interrupted):
        pass

    write_tree(tmp_path, {f"{i:02}": os.urandom(200_000) for i in range(20)})
    here, there = bucket(us), bucket(eu)
    blobs.sync(str(tmp_path), here)
    some_done = threading.Event()

    def on_progress(bytes_done, bytes_total, files_done, files_total):
        if files_done >= 3:
            some_done.set()

    def check():
        if some_done.is_set():
            raise Enough

    monkeypatch.setenv("RCLONE_BWLIMIT", "700k")
    with pytest.raises(Enough):
        blobs.sync(here, there, check=check, on_progress=on_progress)
    monkeypatch.delenv("RCLONE_BWLIMIT")
    already = blobs.totals(there).count
    assert 3 <= already < 20
    assert blobs.sync(here, there).count == 20 - already
    assert blobs.differences(here, there) == []


def test_progress_is_told_in_the_callers_thread_and_ends_at_the_total(tmp_path, us, bucket):
    write_tree(tmp_path, {f"{i}": b"x" * 1000 for i in range(5)})
    told = []
    blobs.sync(str(tmp_path), bucket(us), on_progress=lambda *now: told.append((threading.current_thread(), now)))
    assert told[-1] == (threading.current_thread(), (5000, 5000, 5, 5))
    assert {thread for thread, _ in told} == {threading.current_thread()}


def test_without_checksums_in_common_a_change_of_equal_size_is_found_and_copied(tmp_path, other_conf):
    obscured = subprocess.run(["rclone", "obscure", "p"], capture_output=True, text=True, check=True).stdout.strip()
    other_conf(
        "".join(
            f"[hidden{side}]\ntype = crypt\nremote = {tmp_path}/{side}\npassword = {obscured}\n\n" for side in (1, 2)
        )
    )
    blobs.write_text("hidden1:a", "before")
    blobs.sync("hidden1:", "hidden2:")
    assert blobs.differences("hidden1:", "hidden2:") == []
    blobs.write_text("hidden1:a", "AFTER!")
    assert blobs.differences("hidden1:", "hidden2:") == [BlobDifference("a", "different")]
    blobs.sync("hidden1:", "hidden2:")
    assert blobs.read_text("hidden2:a") == "AFTER!"
    assert blobs.differences("hidden1:", "hidden2:") == []


def test_a_tree_keeps_modes_links_and_empty_folders(tmp_path):
    write_tree(tmp_path / "one", {"bin/run": b"#!/bin/sh\n"})
    (tmp_path / "one/bin/run").chmod(0o755)
    (tmp_path / "one/link").symlink_to("bin/run")
    (tmp_path / "one/empty").mkdir()
    blobs.copy_tree(str(tmp_path / "one"), str(tmp_path / "two"))
    assert (tmp_path / "two/bin/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "two/link").readlink() == Path("bin/run")
    assert (tmp_path / "two/empty").is_dir()


def test_a_bucket_exists_once_made_and_is_gone_once_purged(us, bucket):
    path = bucket(us, create=False)
    assert not blobs.exists(path)
    with pytest.raises(rclone.PathMissing):
        blobs.totals(path)
    blobs.make(path)
    blobs.make(path)
    assert blobs.exists(path)
    assert blobs.totals(path) == BlobTotals(0, 0)
    blobs.write_text(f"{path}/folder/-x", "x")
    blobs.purge(path)
    assert not blobs.exists(path)
    blobs.purge(path)


def test_purging_a_folder_leaves_its_bucket(us, bucket, tmp_path):
    path = bucket(us)
    blobs.write_text(f"{path}/one/x", "x")
    blobs.write_text(f"{path}/two/y", "y")
    blobs.purge(f"{path}/one")
    assert blobs.totals(path) == BlobTotals(1, 1)
    blobs.purge(str(tmp_path / "never there"))


@pytest.mark.parametrize("path", ["us-east-1:", "/", "/srv/"])
def test_a_whole_remote_is_never_purged(path):
    with pytest.raises(PermanentError):
        blobs.purge(path)


def test_text_comes_back_as_written_and_a_missing_object_is_not_an_empty_one(us, bucket):
    path = bucket(us)
    blobs.write_text(f"{path}/note", "héllo\n")
    blobs.write_text(f"{path}/empty", "")
    assert blobs.read_text(f"{path}/note") == "héllo\n"
    assert blobs.read_text(f"{path}/empty") == ""
    with pytest.raises(rclone.PathMissing):
        blobs.read_text(f"{path}/none")
    blobs.delete_file(f"{path}/note")
    blobs.delete_file(f"{path}/note")
    assert not blobs.is_file(f"{path}/note")
    assert blobs.is_file(f"{path}/empty")
    assert not blobs.is_file(path)


def reads_and_deletions(path: str):
    return [
        lambda: blobs.exists(path),
        lambda: blobs.is_file(f"{path}/x"),
        lambda: blobs.totals(path),
        lambda: blobs.purge(path),
        lambda: blobs.read_text(f"{path}/x"),
        lambda: blobs.delete_file(f"{path}/x"),
        lambda: blobs.differences(path, path),
    ]


def test_a_store_that_does_not_answer_is_neither_empty_nor_missing(other_conf):
    other_conf(
        "[dead]\ntype = s3\nprovider = Rclone\naccess_key_id = a\nsecret_access_key = s\n"
        "endpoint = http://127.0.0.1:1\n"
    )
    for act in reads_and_deletions("dead:bucket"):
        with pytest.raises(TransientError) as caught:
            act()
        assert caught.value.code == "blobs_unreachable"


def test_an_unknown_remote_names_itself_and_rclone_conf():
    for act in reads_and_deletions("nowhere:bucket"):
        with pytest.raises(PermanentError, match=r"nowhere in the rclone\.conf") as caught:
            act()
        assert not isinstance(caught.value, rclone.PathMissing)


def test_a_refused_key_is_permanent_and_its_secret_stays_out_of_the_error(us, bucket, other_conf):
    path = bucket(us)
    conf = configparser.ConfigParser(interpolation=None)
    conf.read(os.environ["RCLONE_CONFIG"])
    endpoint, key = conf[us.slug]["endpoint"], conf[us.slug]["access_key_id"]
    other_conf(
        f"[{us.slug}]\ntype = s3\nprovider = Rclone\nendpoint = {endpoint}\naccess_key_id = {key}\n"
        "secret_access_key = wrong-secret\n"
    )
    try:
        for act in reads_and_deletions(path):
            with pytest.raises(PermanentError, match=f"{us.slug} in the rclone") as caught:
                act()
            assert not isinstance(caught.value, rclone.PathMissing)
            assert "wrong-secret" not in str(caught.value)
    finally:
        with Path(os.environ["RCLONE_CONFIG"]).open("w") as file:
            conf.write(file)  # for the fixture's purge


@pytest.mark.parametrize(
    "path", ["", ":s3,secret_access_key=hush:b", "us-east-1,secret_access_key=hush:b", ":local:/x"]
)
def test_a_path_with_options_is_refused_and_not_repeated(path):
    with pytest.raises(PermanentError) as caught:
        blobs.exists(path)
    assert "hush" not in str(caught.value)


def test_a_comma_in_a_local_folder_is_no_option(tmp_path):
    assert not blobs.exists(f"{tmp_path}/a,b:c")


@pytest.mark.parametrize(
    ("remote", "path"),
    [("us:", "us:book"), ("us:prefix", "us:prefix/book"), ("us:p/", "us:p/book"), ("/srv/x", "/srv/x/book")],
)
def test_joining(remote, path):
    assert blobs.join(remote, "book") == path


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/"])
def test_a_name_that_would_leave_its_place_is_refused(name):
    with pytest.raises(PermanentError):
        blobs.join("us:prefix", name)
