import hashlib
import logging
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxylm import _remote
from proxylm._remote import RemoteFile, fetch_file, get_data_home, seen_digest

CONTENT = b"source_lang,target_lang,bleu\n" + b"eng,ind,31.5\n" * 50_000
TAMPERED = CONTENT.replace(b"31.5", b"99.9")
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TAMPERED_DIGEST = hashlib.sha256(TAMPERED).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, body, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def answer_from(self, content, version, count):
        """Answer with what is asked for, but `count` bytes of it at most."""
        start = 0
        if self.headers["If-Range"] == version:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.server.ranges.append(start)
        if start >= len(content):
            self.send_error(416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", version)
        self.send_header("Content-Length", len(body))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[:count])

    def do_GET(self):
        self.close_connection = True
        self.server.requested.append(self.path)
        if self.path == "/versioned":
            self.answer_from(*self.server.versioned)
        elif self.path == "/good":
            self.answer(CONTENT, Content_Length=len(CONTENT))
        elif self.path == "/good_of_unknown_length":
            self.answer(CONTENT)
        elif self.path == "/tampered":
            self.answer(TAMPERED, Content_Length=len(TAMPERED))
        elif self.path == "/half":
            self.answer(CONTENT[: len(CONTENT) // 2], Content_Length=len(CONTENT))
        elif self.path == "/half_of_unknown_length":
            self.answer(CONTENT[: len(CONTENT) // 2])
        elif self.path == "/half_in_chunks":
            half = CONTENT[: len(CONTENT) // 2]
            self.answer(
                b"%x\r\n%s\r\n" % (len(half), half), Transfer_Encoding="chunked"
            )
        elif self.path == "/stalled":
            self.answer(CONTENT[:100], Content_Length=len(CONTENT))
            self.wfile.flush()
            time.sleep(1)
        else:
            self.send_error(404)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requested, server.ranges = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(server):
    def make(route, sha256=DIGEST):
        return RemoteFile(
            "t.csv", f"http://127.0.0.1:{server.server_port}/{route}", sha256
        )

    return make


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_one_line_with_remedy(error, path):
    message = str(error)
    assert "\n" not in message
    assert "Set PROXYLM_DATA to a folder that has the file" in message
    assert f"as {path} by hand" in message


@pytest.mark.parametrize("route", ["good", "good_of_unknown_length"])
def test_download_is_stored_whole_in_a_new_folder(remote, tmp_path, route):
    folder = tmp_path / "new" / "cache"
    path = fetch_file(remote(route), folder)
    assert path == folder / "t.csv"
    assert path.read_bytes() == CONTENT
    assert contents(folder) == ["t.csv"]


def test_good_copy_is_not_downloaded_again(remote, server, tmp_path):
    for _ in range(3):
        fetch_file(remote("good"), tmp_path)
    assert server.requested == ["/good"]


def test_copy_needs_no_network(remote, server, tmp_path):
    (tmp_path / "t.csv").write_bytes(CONTENT)
    path = fetch_file(remote("good"), tmp_path, download_if_missing=False)
    assert path == tmp_path / "t.csv"
    assert server.requested == []


@pytest.mark.parametrize("bad", [TAMPERED, CONTENT[:1000], b""])
def test_copy_that_went_bad_is_replaced(remote, tmp_path, caplog, bad):
    fetch_file(remote("good"), tmp_path)
    (tmp_path / "t.csv").write_bytes(bad)
    with caplog.at_level(logging.WARNING, "proxylm"):
        path = fetch_file(remote("good"), tmp_path)
    assert path.read_bytes() == CONTENT
    (record,) = caplog.records
    for part in (str(path), DIGEST, hashlib.sha256(bad).hexdigest(), "deleted"):
        assert part in record.getMessage()


def test_bad_copy_is_named_and_left_where_no_download_is_allowed(
    remote, server, tmp_path
):
    path = tmp_path / "t.csv"
    path.write_bytes(TAMPERED)
    with pytest.raises(ValueError, match="not the published file") as caught:
        fetch_file(remote("good"), tmp_path, download_if_missing=False)
    for part in (str(path), f"expected SHA-256 {DIGEST}", f"found {TAMPERED_DIGEST}"):
        assert part in str(caught.value)
    assert server.requested == []
    assert path.read_bytes() == TAMPERED


def test_bad_copy_that_can_not_be_replaced_is_deleted_and_named(remote, tmp_path):
    (tmp_path / "t.csv").write_bytes(TAMPERED)
    with pytest.raises(ConnectionError, match="answered 404") as caught:
        fetch_file(remote("gone"), tmp_path)
    assert f"expected SHA-256 {DIGEST}, found {TAMPERED_DIGEST}" in str(caught.value)
    assert "was deleted" in str(caught.value)
    assert contents(tmp_path) == []


def test_missing_file_without_download_has_a_remedy(remote, tmp_path):
    with pytest.raises(FileNotFoundError, match="download_if_missing=False") as caught:
        fetch_file(remote("good"), tmp_path, download_if_missing=False)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")


def test_tampered_download_is_named_with_both_digests_and_never_kept(remote, tmp_path):
    with pytest.raises(ValueError, match="not the published file") as caught:
        fetch_file(remote("tampered"), tmp_path)
    assert f"expected SHA-256 {DIGEST}, found {TAMPERED_DIGEST}" in str(caught.value)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")
    assert contents(tmp_path) == []


@pytest.mark.parametrize("route", ["half", "half_in_chunks"])
def test_download_that_breaks_off_is_one_line_and_never_kept(remote, tmp_path, route):
    with pytest.raises(ConnectionError, match=r"broke off after \d+ ") as caught:
        fetch_file(remote(route), tmp_path)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")
    assert contents(tmp_path) == []


def test_download_that_breaks_off_unnoticed_fails_by_its_digest(remote, tmp_path):
    with pytest.raises(ValueError, match="not the published file"):
        fetch_file(remote("half_of_unknown_length"), tmp_path)
    assert contents(tmp_path) == []


def test_server_that_stalls_does_not_hang(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(_remote, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(ConnectionError, match=r"broke off after .*timed out"):
        fetch_file(remote("stalled"), tmp_path)
    assert contents(tmp_path) == []


def test_missing_page_is_one_line(remote, tmp_path):
    with pytest.raises(ConnectionError, match="answered 404 Not Found") as caught:
        fetch_file(remote("gone"), tmp_path)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")
    assert contents(tmp_path) == []


# Going on with a download that broke off


def test_download_goes_on_where_it_broke_off(remote, server, tmp_path, caplog):
    for sent in (100_000, 50_000):
        server.versioned = CONTENT, '"v1"', sent
        with pytest.raises(ConnectionError, match="broke off after") as caught:
            fetch_file(remote("versioned"), tmp_path)
        assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")
        assert not (tmp_path / "t.csv").exists()
    assert (tmp_path / ".t.csv.part").read_bytes() == CONTENT[:150_000]
    server.versioned = CONTENT, '"v1"', None
    with caplog.at_level(logging.INFO, "proxylm"):
        path = fetch_file(remote("versioned"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [100_000, 150_000]
    assert "150000 are there" in caplog.records[0].getMessage()
    assert contents(tmp_path) == ["t.csv"]


def test_a_file_that_has_changed_meanwhile_is_downloaded_anew(remote, server, tmp_path):
    server.versioned = TAMPERED, '"v1"', 100_000
    with pytest.raises(ConnectionError):
        fetch_file(remote("versioned"), tmp_path)
    server.versioned = CONTENT, '"v2"', None
    assert fetch_file(remote("versioned"), tmp_path).read_bytes() == CONTENT
    assert server.ranges == []
    assert contents(tmp_path) == ["t.csv"]


def test_what_is_left_of_another_address_is_not_gone_on_with(remote, server, tmp_path):
    server.versioned = TAMPERED, '"v1"', 100_000
    with pytest.raises(ConnectionError):
        fetch_file(remote("versioned"), tmp_path)
    assert fetch_file(remote("good"), tmp_path).read_bytes() == CONTENT
    assert contents(tmp_path) == ["t.csv"]


def test_download_that_was_killed_at_its_end_starts_anew(remote, server, tmp_path):
    server.versioned = CONTENT, '"v1"', None
    (tmp_path / ".t.csv.part").write_bytes(CONTENT)
    url = remote("versioned").url
    (tmp_path / ".t.csv.part.version").write_text(f'{url}\n"v1"\n')
    assert fetch_file(remote("versioned"), tmp_path).read_bytes() == CONTENT
    assert contents(tmp_path) == ["t.csv"]


def test_wrong_digest_leaves_nothing_to_go_on_with(remote, server, tmp_path):
    server.versioned = TAMPERED, '"v1"', None
    with pytest.raises(ValueError, match="not the published file"):
        fetch_file(remote("versioned"), tmp_path)
    assert contents(tmp_path) == []


def test_full_disk_is_one_line_and_the_download_goes_on_when_there_is_room(
    remote, server, tmp_path
):
    server.versioned = CONTENT, '"v1"', None
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(OSError, match="No space left on device") as caught:
            fetch_file(remote("versioned"), folder)
        assert "Free some space there" in caught.value.strerror
        assert "\n" not in caught.value.strerror
        size = (folder / ".t.csv.part").stat().st_size
        assert 0 < size < len(CONTENT)
        larger = ["mount", "-o", "remount,size=2m", str(folder)]
        subprocess.run(larger, check=True)
        assert fetch_file(remote("versioned"), folder).read_bytes() == CONTENT
        assert server.ranges == [size]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_threads_that_want_the_same_file_download_it_once(remote, server, tmp_path):
    server.versioned = CONTENT, '"v1"', None
    with ThreadPoolExecutor(4) as pool:
        paths = pool.map(lambda _: fetch_file(remote("versioned"), tmp_path), range(4))
        assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.requested == ["/versioned"]
    assert contents(tmp_path) == ["t.csv"]


# Files whose digest is not known


def test_digest_of_the_first_copy_is_kept_and_expected(remote, server, tmp_path):
    unknown = remote("good", sha256=None)
    path = fetch_file(unknown, tmp_path)
    assert contents(tmp_path) == ["t.csv", "t.csv.sha256"]
    assert (tmp_path / "t.csv.sha256").read_text() == f"{DIGEST}  t.csv\n"
    assert seen_digest(path) == DIGEST
    assert fetch_file(unknown, tmp_path) == path
    assert server.requested == ["/good"]
    path.write_bytes(TAMPERED)
    with pytest.raises(ValueError, match="not the file that was there at first") as bad:
        fetch_file(unknown, tmp_path)
    for part in (DIGEST, TAMPERED_DIGEST, f"delete {path}.sha256"):
        assert part in str(bad.value)
    assert path.read_bytes() == TAMPERED
    (tmp_path / "t.csv.sha256").unlink()
    assert fetch_file(unknown, tmp_path) == path
    assert seen_digest(path) == TAMPERED_DIGEST


def test_another_download_than_the_first_is_never_kept(remote, tmp_path):
    fetch_file(remote("good", sha256=None), tmp_path).unlink()
    with pytest.raises(ValueError, match="not the file that was there at first"):
        fetch_file(remote("tampered", sha256=None), tmp_path)
    assert contents(tmp_path) == ["t.csv.sha256"]


def test_file_that_was_placed_by_hand_is_used_and_its_digest_kept(
    remote, server, tmp_path
):
    (tmp_path / "t.csv").write_bytes(CONTENT)
    fetch_file(remote("good", sha256=None), tmp_path, download_if_missing=False)
    assert seen_digest(tmp_path / "t.csv") == DIGEST
    assert server.requested == []


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/t.csv"
    with pytest.raises(ConnectionError, match="could not be reached") as caught:
        fetch_file(RemoteFile("t.csv", url, DIGEST), tmp_path)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")


def test_failed_download_leaves_other_files_alone(remote, tmp_path):
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(ConnectionError):
        fetch_file(remote("half"), tmp_path)
    assert contents(tmp_path) == ["mine.csv"]


def test_cache_that_can_not_be_written_has_a_remedy(remote, server, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(OSError, match="Could not write") as caught:
            fetch_file(remote("good"), folder)
        assert_one_line_with_remedy(caught.value, folder / "t.csv")
    assert server.requested == []


def test_folder_in_place_of_the_file_is_reported(remote, tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(OSError, match="Could not read") as caught:
        fetch_file(remote("good"), tmp_path)
    assert_one_line_with_remedy(caught.value, tmp_path / "t.csv")


@pytest.fixture
def read_only_folder_with_bad_file(tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir()
    mounted = not os.geteuid()
    if mounted:
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("permissions do not bind root, and mounting is not allowed")
    (folder / "t.csv").write_bytes(TAMPERED)
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        folder.chmod(0o555)
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
    else:
        folder.chmod(0o755)


def test_bad_file_in_a_read_only_folder_is_named_and_never_used(
    remote, server, read_only_folder_with_bad_file, monkeypatch
):
    folder = read_only_folder_with_bad_file
    monkeypatch.setenv("PROXYLM_DATA", str(folder))
    with pytest.raises(ValueError, match="could not be deleted") as caught:
        fetch_file(remote("good"))
    for part in (str(folder / "t.csv"), DIGEST, TAMPERED_DIGEST, "set PROXYLM_DATA"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.requested == []


def test_progress_is_logged_and_not_printed(remote, tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO, "proxylm"):
        fetch_file(remote("good"), tmp_path)
    assert [record.name for record in caplog.records] == ["proxylm._remote"] * 2
    assert f"{len(CONTENT)} bytes" in caplog.records[-1].getMessage()
    assert capfd.readouterr() == ("", "")


def test_data_home_is_argument_then_environment_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("PROXYLM_DATA", str(tmp_path / "environment"))
    assert get_data_home(tmp_path) == tmp_path
    assert get_data_home(str(tmp_path)) == tmp_path
    assert get_data_home() == tmp_path / "environment"
    monkeypatch.setenv("PROXYLM_DATA", "~/records")
    assert get_data_home() == Path.home() / "records"
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("PROXYLM_DATA")
        else:
            monkeypatch.setenv("PROXYLM_DATA", value)
        assert get_data_home() == Path.home() / "proxylm_data"


def test_remote_file_can_not_be_changed():
    file = RemoteFile("t.csv", "https://example.org/t.csv", DIGEST)
    with pytest.raises(AttributeError):
        file.sha256 = TAMPERED_DIGEST
