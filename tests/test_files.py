import errno
import hashlib
import io
import os
import subprocess
import tarfile

import pandas as pd
import pytest

from proxylm._files import file_sha256, unpack_whole, write_whole


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_digest_is_that_of_the_content(tmp_path):
    content = os.urandom(300_000)
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert file_sha256(path) == hashlib.sha256(content).hexdigest()


def test_file_appears_only_when_the_block_ends(tmp_path):
    path = tmp_path / "results.csv"
    with write_whole(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert contents(tmp_path) == ["results.csv"]


def test_temporary_file_lies_beside_and_has_the_suffixes(tmp_path):
    with write_whole(tmp_path / "results.csv.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffixes == [".csv", ".gz"]
        temporary.write_text("")


def test_missing_folders_are_created(tmp_path):
    path = tmp_path / "results" / "today" / "summary.csv"
    with write_whole(str(path)) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    with write_whole(tmp_path / "whole") as temporary:
        temporary.write_text("")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, ValueError("no"), ZeroDivisionError]
)
def test_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "results.csv"
    path.write_text("old")
    with pytest.raises(error if isinstance(error, type) else type(error)):
        with write_whole(path) as temporary:
            temporary.write_text("half")
            raise error
    assert path.read_text() == "old"
    assert contents(tmp_path) == ["results.csv"]


def test_error_about_another_file_is_passed_on_unchanged(tmp_path):
    other = tmp_path / "not_there.csv"
    with pytest.raises(FileNotFoundError) as caught:
        with write_whole(tmp_path / "results.csv"):
            other.read_text()
    assert caught.value.filename == str(other)
    assert "Could not write" not in str(caught.value)
    assert contents(tmp_path) == []


def test_error_of_the_network_is_passed_on_unchanged(tmp_path):
    with pytest.raises(ConnectionError, match=r"^the server is gone$"):
        with write_whole(tmp_path / "results.csv"):
            raise ConnectionError("the server is gone")


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Could not write .*results\.csv"):
        with write_whole(tmp_path / "results.csv"):
            pass


def test_folder_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.csv", tmp_path / "file" / "b" / "a.csv"):
        with pytest.raises(OSError, match="no file in it") as caught:
            with write_whole(path):
                pytest.fail("the block must not run")
        assert str(path) in str(caught.value)
        assert caught.value.errno in (errno.EEXIST, errno.ENOTDIR)


def test_path_of_a_folder_is_refused(tmp_path):
    path = tmp_path / "results"
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="not a folder's"):
        with write_whole(path) as temporary:
            temporary.write_text("new")
    assert contents(tmp_path) == ["results"]


def test_too_long_name_is_one_line(tmp_path):
    with pytest.raises(OSError, match="Choose another path") as caught:
        with write_whole(tmp_path / ("n" * 300)) as temporary:
            temporary.write_text("new")
    assert caught.value.errno == errno.ENAMETOOLONG


def test_read_only_folder_is_named_with_the_remedy(read_only_folder):
    path = read_only_folder / "results.csv"
    with pytest.raises(OSError, match="that you may write to") as caught:
        with write_whole(path) as temporary:
            temporary.write_text("new")
    assert caught.value.errno in (errno.EACCES, errno.EROFS)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_full_disk_leaves_the_old_file(small_disk, suffix):
    path = small_disk / f"results{suffix}"
    path.write_text("old")
    table = pd.DataFrame({"prediction": os.urandom(200_000).hex(" ").split()})
    with pytest.raises(OSError, match=r"No space left on device\. Free some") as caught:
        with write_whole(path) as temporary:
            if suffix == ".csv":
                table.to_csv(temporary)
            else:
                table.to_parquet(temporary, compression=None)
    assert caught.value.errno == errno.ENOSPC
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert contents(small_disk) == [path.name]


def test_full_device_is_reported_as_such(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="Free some space") as caught:
        with write_whole(tmp_path / "results.csv"):
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(b"x")
    assert caught.value.errno == errno.ENOSPC


def test_unfinished_file_stays_and_a_later_block_goes_on_with_it(tmp_path):
    path = tmp_path / "large.bin"
    with pytest.raises(KeyboardInterrupt):
        with write_whole(path, unfinished=".large.part") as temporary:
            temporary.write_text("one ")
            raise KeyboardInterrupt
    assert contents(tmp_path) == [".large.part"]
    with write_whole(path, unfinished=".large.part") as temporary:
        with open(temporary, "a") as file:
            file.write("two")
    assert path.read_text() == "one two"
    assert contents(tmp_path) == ["large.bin"]


# Archives


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "texts.tar.gz"
    with tarfile.open(path, "w:gz") as members:
        for name, text in (("1.1/data/en.txt", "hello"), ("1.1/data/id.txt", "halo")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            members.addfile(member, io.BytesIO(text.encode()))
    return path


def test_archive_is_unpacked_into_a_new_folder(archive, tmp_path):
    unpack_whole(archive, tmp_path / "new" / "texts")
    assert (tmp_path / "new/texts/1.1/data/id.txt").read_text() == "halo"
    assert contents(tmp_path / "new") == ["texts"]


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt"])
def test_member_that_would_leave_the_folder_is_refused(tmp_path, name):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as members:
        members.addfile(tarfile.TarInfo("good.txt"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, name
        members.addfile(link)
    with pytest.raises(ValueError, match="no sound tar archive") as caught:
        unpack_whole(path, tmp_path / "texts")
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == ["bad.tar"]


@pytest.mark.parametrize("damage", ["cut", "junk", "empty"])
def test_broken_archive_is_named_and_nothing_unpacked(archive, tmp_path, damage):
    content = archive.read_bytes()
    archive.write_bytes({"cut": content[:-30], "junk": b"<html>", "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"texts\.tar\.gz is no sound tar") as caught:
        unpack_whole(archive, tmp_path / "texts")
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == ["texts.tar.gz"]


def test_archive_on_a_full_disk_leaves_nothing(small_disk, tmp_path):
    path = tmp_path / "large.tar"
    (tmp_path / "large.bin").write_bytes(os.urandom(200_000))
    with tarfile.open(path, "w") as members:
        members.add(tmp_path / "large.bin", "large.bin")
    with pytest.raises(OSError, match=r"No space left on device\. Free some space"):
        unpack_whole(path, small_disk / "texts")
    assert contents(small_disk) == []


def mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only_folder(tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
    elif mount("-t", "tmpfs", "-o", "size=64k,ro", "tmpfs", str(folder)).returncode:
        pytest.skip("permissions do not bind root, and mounting is not allowed")
    else:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
