"""Downloads of models and texts, from a hub of our own on this machine."""

import functools
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import proxylm
from proxylm.cli import main
from proxylm.cli._catalogue import CATALOGUE
from proxylm.cli._downloads import HubModel
from proxylm.lm._download import choose_files, download_model, is_downloaded

COMMIT = "1d461723eec654e65efdc40cf49301c89c0c92f4"
WEIGHTS = os.urandom(300_000)
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
SMALL = {
    "config.json": b"{}",
    "tokenizer.json": b'{"tokens": []}',
    "README.md": b"# A model",
}
OTHERS = {"onnx/model.onnx": b"onnx", "tf_model.h5": b"tensorflow"}


SHARDS = {
    "model.safetensors.index.json": json.dumps(
        {
            "weight_map": {
                "a": "model-1-of-2.safetensors",
                "b": "model-2-of-2.safetensors",
            }
        }
    ).encode(),
    "model-1-of-2.safetensors": WEIGHTS,
    "model-2-of-2.safetensors": WEIGHTS[::-1],
    "pytorch_model.bin": WEIGHTS,
}


def archive_of(texts):
    """Return a tar archive with texts."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as members:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            members.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


class Hub(BaseHTTPRequestHandler):
    """What the library asks a hub for; the server has the files of each model."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        if self.command == "GET":
            name = self.path.rpartition("/")[2]
            n_sent = self.server.breaks_off_after.pop(name, None)
            self.wfile.write(body[:n_sent])
            if name in self.server.stalls:
                self.wfile.flush()
                self.server.stalls[name].wait()
            self.close_connection = n_sent is not None

    def refuse(self, status, code):
        self.answer(b"", status, X_Error_Code=code)

    def answer_api(self, model, what):
        files = self.server.models[model].items()
        if what.startswith("tree"):
            found = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in files
            ]
        else:
            siblings = [
                {"rfilename": name, "size": len(content), "blobId": "0" * 40}
                for name, content in files
            ]
            found = {"id": model, "sha": COMMIT, "siblings": siblings}
        self.answer(json.dumps(found).encode(), Content_Type="application/json")

    def answer_file(self, model, name):
        content = self.server.models[model][name]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        start, status = 0, 200
        if "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            self.server.ranges.append(start)
            status = 206
        headers = {"ETag": etag, "X_Repo_Commit": COMMIT}
        if start:
            last = len(content) - 1
            headers["Content_Range"] = f"bytes {start}-{last}/{len(content)}"
        self.answer(content[start:], status, **headers)

    def do_GET(self):
        self.server.requested.append(self.path)
        if self.path == "/texts.tar.gz":
            self.answer(self.server.archive)
            return
        parts = self.path.lstrip("/").split("?")[0].split("/")
        is_api = parts[:2] == ["api", "models"]
        owner, name, *rest = parts[2:] if is_api else parts
        model = f"{owner}/{name}"
        if owner == "meta-llama" and "Authorization" not in self.headers:
            self.refuse(401, "GatedRepo")
        elif model not in self.server.models:
            self.refuse(404, "RepoNotFound")
        elif rest[1] not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif is_api:
            self.answer_api(model, "/".join(rest))
        else:
            self.answer_file(model, "/".join(rest[2:]))

    def do_HEAD(self):
        self.do_GET()


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    small = {**SMALL, "model.safetensors": WEIGHTS}
    server.models = {
        "owner/small": {**small, **OTHERS},
        "owner/pickled": {**SMALL, "pytorch_model.bin": WEIGHTS},
        "owner/sharded": {**SMALL, **SHARDS},
        "owner/empty": SMALL,
        "owner/metric": {"hparams.yaml": b"a: 1", "checkpoints/model.ckpt": WEIGHTS},
        "HuggingFaceTB/SmolLM-135M": small,
        "meta-llama/Meta-Llama-3-8B-Instruct": small,
    }
    server.archive = archive_of({"dataset/ace/train/a/train_ace.txt": "haba"})
    server.requested, server.ranges, server.breaks_off_after = [], [], {}
    server.stalls = {}
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the data folder of the commands."""
    monkeypatch.setenv("PROXYLM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".cache")


# Models


def download(hub, folder, model="owner/small", **parameters):
    return download_model(
        model, folder, endpoint=hub.address, progress=False, **parameters
    )


def test_only_what_is_needed_is_downloaded(hub, tmp_path):
    folder = download(hub, tmp_path / "small", revision=COMMIT)
    assert names_in(folder) == sorted([*SMALL, "model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert is_downloaded(folder)


def test_pickled_weights_are_taken_where_there_are_no_others(hub, tmp_path):
    folder = download(hub, tmp_path, "owner/pickled")
    assert names_in(folder) == sorted([*SMALL, "pytorch_model.bin"])


def test_weights_in_parts_are_there_when_all_parts_are(hub, tmp_path):
    folder = download(hub, tmp_path, "owner/sharded")
    assert "pytorch_model.bin" not in names_in(folder)
    assert is_downloaded(folder)
    (folder / "model-2-of-2.safetensors").unlink()
    assert not is_downloaded(folder)
    download(hub, tmp_path, "owner/sharded")
    assert is_downloaded(folder)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": {}}'])
def test_a_broken_index_of_weights_names_none(tmp_path, index):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert not is_downloaded(tmp_path)


def test_other_files_than_those_of_transformers_can_be_named(hub, tmp_path):
    files = ["hparams.yaml", "checkpoints/model.ckpt"]
    digests = {"checkpoints/model.ckpt": DIGEST}
    folder = download(hub, tmp_path, "owner/metric", files=files, digests=digests)
    assert (folder / "checkpoints/model.ckpt").read_bytes() == WEIGHTS
    assert is_downloaded(folder, files)


def test_a_model_may_need_files_of_another(hub, tmp_path, monkeypatch):
    from_hub = functools.partial(download_model, endpoint=hub.address)
    monkeypatch.setattr("proxylm.cli._downloads.download_model", from_hub)
    options = {"what": "", "licence": "", "size": 0, "revision": "main"}
    encoder = {"name": "encoder", "model": "owner/small", "files": ("config.json",)}
    metric = HubModel(
        name="metric",
        model="owner/metric",
        files=("checkpoints/model.ckpt",),
        parts=(HubModel(**encoder, **options),),
        **options,
    )
    assert not metric.is_there(tmp_path)
    metric.fetch(tmp_path, progress=False)
    assert names_in(metric.place(tmp_path)) == ["checkpoints", "encoder"]
    assert names_in(metric.place(tmp_path) / "encoder") == ["config.json"]
    assert metric.is_there(tmp_path)
    (metric.place(tmp_path) / "encoder" / "config.json").unlink()
    assert not metric.is_there(tmp_path)
    hub.requested.clear()
    metric.fetch(tmp_path, progress=False)
    assert not any("owner/metric" in path for path in hub.requested)


def test_weights_come_last(hub, tmp_path):
    download(hub, tmp_path)
    files = [path for path in hub.requested if "/resolve/" in path]
    assert all("model.safetensors" in path for path in files[-2:])


def test_a_model_that_is_there_needs_no_network(hub, tmp_path):
    download(hub, tmp_path)
    hub.requested.clear()
    download(hub, tmp_path)
    assert hub.requested == []


def test_a_model_that_was_placed_by_hand_is_used(hub, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    assert download(hub, tmp_path, digests={"model.safetensors": DIGEST}) == tmp_path
    assert hub.requested == []


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    hub, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.breaks_off_after["model.safetensors"] = 100_000
    download(hub, tmp_path)
    assert hub.ranges == [100_000]
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS


def test_wrong_digest_is_named_and_the_file_deleted(hub, tmp_path):
    with pytest.raises(ValueError, match="not the published file") as caught:
        download(hub, tmp_path, digests={"model.safetensors": "0" * 64})
    for part in ("0" * 64, DIGEST, str(tmp_path / "model.safetensors")):
        assert part in str(caught.value)
    assert not is_downloaded(tmp_path)
    download(hub, tmp_path, digests={"model.safetensors": DIGEST})
    assert is_downloaded(tmp_path)


@pytest.mark.parametrize(
    "model, revision, error, message",
    [
        ("owner/nothing", "main", FileNotFoundError, "The hub has no model owner/no"),
        ("owner/small", "0" * 40, ValueError, "owner/small has no revision '000"),
        ("owner/empty", "main", ValueError, "owner/empty is expected to have weights"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(
    hub, tmp_path, model, revision, error, message
):
    with pytest.raises(error, match=message) as caught:
        download(hub, tmp_path, model, revision=revision)
    assert "\n" not in str(caught.value)


def test_a_hub_without_a_named_file_is_one_line(hub, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected to have") as caught:
        download(hub, tmp_path, files=["hparams.yaml", "config.json"])
    assert "hparams.yaml" in str(caught.value)


def test_no_network_is_one_line_that_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ConnectionError, match="could not be downloaded") as caught:
        download_model("owner/small", tmp_path / "small", endpoint="http://127.0.0.1:9")
    message = str(caught.value)
    assert "\n" not in message
    assert "https://huggingface.co/owner/small/tree/main" in message
    assert f"in {tmp_path / 'small'} by hand" in message


def test_too_little_space_is_told_before_the_download(hub, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(OSError, match="Free some space there") as caught:
            download(hub, folder / "models" / "small")
        assert "0.00 GB are needed" in caught.value.strerror
        assert names_in(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_weights_of_other_libraries_are_none():
    with pytest.raises(ValueError, match=r"It has \['adapter_model.safetensors'\]"):
        choose_files(["adapter_model.safetensors"], "owner/adapter")


# The command


def call(capsys, *arguments):
    code = main(["download", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def error_of(capsys, *arguments):
    code, _, err = call(capsys, *arguments)
    assert code == 1
    (line,) = [line for line in err.splitlines() if not line.startswith("info: ")]
    assert line.startswith("proxylm: error: ")
    return line


def program(hub, home, *arguments, **environment):
    """Return how the program is run with our hub, without a token and a terminal."""
    package = Path(proxylm.__file__).parent.parent
    kept = {name: value for name, value in os.environ.items() if name[:3] != "HF_"}
    environment = {
        **kept,
        "PYTHONPATH": str(package),
        "PROXYLM_DATA": str(home),
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home / "hub"),
        **environment,
    }
    return [sys.executable, "-m", "proxylm.cli", "download", *arguments], {
        "stdin": subprocess.DEVNULL,
        "text": True,
        "env": environment,
    }


def run(hub, home, *arguments, **environment):
    """Return what the program gives."""
    command, options = program(hub, home, *arguments, **environment)
    return subprocess.run(command, capture_output=True, **options)


@pytest.mark.parametrize("arguments", [(), ("--list",), ("aya", "--list")])
def test_all_that_there_is_is_listed(capsys, home, arguments):
    (home / "massive").mkdir(parents=True)
    (home / "massive" / "en-US.jsonl").touch()
    (home / "mt560").mkdir()
    (home / "flores200sacrebleuspm").touch()
    code, out, err = call(capsys, *arguments)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert list(rows) == ["name", *(thing.name for thing in CATALOGUE)]
    for part in ("16.07 GB", "CC-BY-NC-4.0", "gated", "not yet"):
        assert part in rows["aya"]
    assert rows["massive"].rstrip().endswith(str(home / "massive"))
    assert rows["flores200"].rstrip().endswith(str(home / "flores200sacrebleuspm"))
    assert "not yet" in rows["mt560"]


def test_names_and_commits_are_written_well():
    names = [thing.name for thing in CATALOGUE]
    assert len({*names}) == len(names)
    for thing in CATALOGUE:
        if isinstance(thing, HubModel):
            digests = [thing.revision, *(thing.digests or {}).values()]
            assert [len(bytes.fromhex(x)) for x in digests] == [20, 32][: len(digests)]


def test_unknown_name_is_one_line_with_the_nearest(capsys, home):
    line = error_of(capsys, "smollm_135m", "bloomz")
    assert "Got 'bloomz'. Did you mean 'bloomz_560m'?" in line


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["aya"], "aya is gated and 16.07 GB. Pass --yes to download it."),
        (["m2m100"], "m2m100 is 4.96 GB. Pass --yes to download it."),
        (["massive", "--revision", "main"], "--revision expects models. Got massive."),
        (["nusa", "--url", "x"], "--url expects one name among"),
        (["massive", "mt560", "--url", "x"], "Got massive, mt560."),
    ],
)
def test_what_can_not_be_done_is_one_line(
    capsys, home, monkeypatch, arguments, message
):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert message in error_of(capsys, *arguments)


@pytest.mark.parametrize("answer", ["", "no"])
def test_at_a_terminal_the_answer_is_waited_for(capsys, home, monkeypatch, answer):
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert "llama3 is gated and 16.07 GB, and was not" in error_of(capsys, "llama3")


def test_the_program_downloads_a_model_and_says_what_it_is(hub, home):
    result = run(hub, home, "smollm_135m", "--revision", "main", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    first, last = result.stdout.splitlines()
    for part in ("541 MB", "Apache-2.0", "open", "SmolLM-135M at main"):
        assert part in first
    folder = home / "models" / "smollm_135m-main"
    assert last == f"smollm_135m-main is now in {folder}"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    result = run(hub, home, "smollm_135m", "--revision", "main", HF_HUB_OFFLINE="1")
    assert result.stdout == f"smollm_135m-main was already in {folder}\n"


def test_the_program_stops_at_once_on_ctrl_c_and_goes_on_later(hub, home):
    name = "model.safetensors"
    hub.breaks_off_after[name] = 100_000
    hub.stalls[name] = threading.Event()
    arguments = ("smollm_135m", "--revision", "main", "--quiet")
    command, options = program(hub, home, *arguments, HF_HUB_DOWNLOAD_TIMEOUT="600")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    folder = home / "models" / "smollm_135m-main"
    try:
        while not list(folder.glob(".cache/**/*.incomplete")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.strip() == (
        f"proxylm: Interrupted. What was downloaded is kept in {home}. Run the same "
        "command again to go on."
    )
    hub.stalls.pop(name).set()
    assert run(hub, home, *arguments).returncode == 0
    assert (folder / name).read_bytes() == WEIGHTS


def test_the_program_refuses_weights_with_another_digest(hub, home):
    result = run(hub, home, "smollm_135m", "--quiet")
    assert result.returncode == 1
    assert "is not the published file" in result.stderr
    assert not (home / "models" / "smollm_135m" / "model.safetensors").exists()


def test_a_gated_model_without_a_token_says_what_to_do(hub, home):
    result = run(hub, home, "llama3", "--yes")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "Meta-Llama-3-8B-Instruct is gated. Accept its licence at" in line
    assert "set HF_TOKEN to it" in line


def test_offline_mode_is_one_line(hub, home):
    result = run(hub, home, "smollm_135m", HF_HUB_OFFLINE="1")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "offline mode is enabled" in line
    assert f"in {home / 'models' / 'smollm_135m'} by hand" in line


def test_an_archive_is_downloaded_verified_and_unpacked(hub, home, capsys):
    url = f"{hub.address}/texts.tar.gz"
    code, out, err = call(capsys, "mt560", "--url", url)
    assert code == 0, err
    digest = hashlib.sha256(hub.archive).hexdigest()
    assert f"SHA-256 {digest}, expected from now on" in err
    assert out.endswith(f"mt560 is now in {home / 'mt560'}\n")
    text = home / "mt560/dataset/ace/train/a/train_ace.txt"
    assert text.read_text() == "haba"
    assert call(capsys, "mt560")[1] == f"mt560 was already in {home / 'mt560'}\n"
    assert hub.requested == ["/texts.tar.gz"]


def test_an_archive_with_another_digest_is_refused(hub, home, capsys):
    line = error_of(capsys, "massive", "--url", f"{hub.address}/texts.tar.gz")
    assert "not the published file" in line
    assert names_in(home) == []


def test_an_archive_that_only_a_person_can_download_is_used_from_its_place(
    hub, home, capsys
):
    path = home / "mt560_dataset.tar.gz"
    line = error_of(capsys, "mt560")
    assert f"as {path} by hand" in line
    assert "--url" in line
    home.mkdir()
    path.write_bytes(hub.archive)
    assert call(capsys, "mt560")[0] == 0
    assert (home / "mt560/dataset/ace").is_dir()


def test_files_without_a_network_name_the_place_of_the_first(capsys, home, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    line = error_of(capsys, "nusa")
    assert f"as {home / 'nusa' / 'nusa_kalimat-mt-abs-train.csv'} by hand" in line


def test_files_that_were_placed_by_hand_are_used(capsys, home):
    (nusa,) = [thing for thing in CATALOGUE if thing.name == "nusa"]
    assert len(nusa.files) == 33
    (home / "nusa").mkdir(parents=True)
    for file in nusa.files:
        (home / file.filename).write_text("id,ind_text,tgt_text\n")
    assert call(capsys, "nusa", "--quiet") == (
        0,
        f"nusa was already in {home / 'nusa'}\n",
        "",
    )
    assert len(names_in(home / "nusa")) == 66
