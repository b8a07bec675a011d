"""Wrong use of a command or an example is told before torch is imported, in words that say what to do."""

import json
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ssa_stream.data import SceneConfig, write_mevis
from ssa_stream.keys import make_keys
from tests.support.checkout import ROOT
from tests.support.video_files import write_video

RUNNER = ROOT / "tests" / "support" / "without_torch.py"
RUN = "ssa-stream run synthetic -p circle"
UP = "ssa-stream up demo --publish tcp://127.0.0.1:* --requests tcp://127.0.0.1:*"
SERVE = "ssa-stream serve --port 0 --publish tcp://127.0.0.1:* --requests tcp://127.0.0.1:*"
EVAL = "ssa-stream eval --data data"
TRAIN = "ssa-stream train smoke --out new"
CHECKPOINT = "ssa-stream checkpoint"
PROMPT = "ssa-stream prompt"
NOWHERE = "--address tcp://127.0.0.1:1 --timeout 0.05"
NO_SENTENCE = "expected a sentence such as"
HIDDEN = "characters that a terminal obeys or nobody sees"
NOT_WHOLE = "is not a whole safetensors file"

RIGHT = "ssa-stream run synthetic@64x64,1frames -p circle"

# A command line in the folder of `folder`, its exit code, and part of what it says. `BUSY` is a port that is taken.
CASES = [
    # Prompts
    ("ssa-stream run synthetic -p ''", 2, NO_SENTENCE),
    ("ssa-stream run synthetic -p circle -p ' '", 2, NO_SENTENCE),
    ("ssa-stream run synthetic -p 'red \x1b[31m'", 2, HIDDEN),
    ("ssa-stream run synthetic" + " -p circle" + "".join(f" -p {number}" for number in range(20)), 2, "21 prompts;"),
    (f"{RUN} --at '3= '", 2, "expected SECONDS=TEXT"),
    (f"{RUN} --at 'soon=the star'", 2, "expected SECONDS=TEXT"),
    (f"{RUN} --at '3=red \x1b[31m'", 2, HIDDEN),
    (f"{UP} -p ''", 2, "streams.scene.prompts.0 is ''; expected"),
    (f"{UP} -p ' x\x07'", 2, HIDDEN),
    (f"{UP} -p {'long' * 300}", 2, "expected a text of length <= 1000"),
    (f"{UP} -p nosuch=text", 2, "there is no stream 'nosuch', the one stream is 'scene'; if all of it is meant, write"),
    ("ssa-stream up two-streams -p nosuch=text", 2, "expected STREAM=..., with one of the streams left, right"),
    (f"{SERVE} -p nosuch=text", 2, "expected STREAM=..., with one of the streams camera, scene"),
    (f"{PROMPT} set cam0 '' {NOWHERE}", 2, NO_SENTENCE),
    (f"{PROMPT} set cam0 {'long' * 300} {NOWHERE}", 2, "a prompt has 1,200 characters; expected at most 1,000"),
    (f"{PROMPT} set cam0 'x\x1b' {NOWHERE}", 2, HIDDEN),
    (f"{PROMPT} add cam0 circle --id 'a b' {NOWHERE}", 2, "prompt id is 'a b'; expected at most 64 letters"),
    (f"{PROMPT} set c/m circle {NOWHERE}", 2, "stream is 'c/m'; expected at most 64 letters"),
    (f"{PROMPT} list cam0 --keys nosuch {NOWHERE}", 2, "nosuch"),
    # Sources
    ("ssa-stream run nosuch.mp4 -p circle", 2, "nosuch.mp4 does not exist"),
    ("ssa-stream run folder -p circle", 2, "folder is a directory: give a video file"),
    ("ssa-stream run text.mp4 -p circle", 1, "text.mp4: it is not a video"),
    ("ssa-stream run empty.mp4 -p circle", 1, "empty.mp4 is empty"),
    ("ssa-stream run 'folder/%03d.png' -p circle", 2, "fits no file"),
    ("ssa-stream run gopher://host/a -p circle", 2, "the scheme 'gopher' is unknown"),
    ("ssa-stream run synthetic@wide -p circle", 2, "expected synthetic[:SEED]"),
    ("ssa-stream run synthetic:foo -p circle", 2, "expected synthetic[:SEED]"),
    ("ssa-stream run synthetc -p circle", 2, "synthetc does not exist; did you mean synthetic?"),
    ("ssa-stream run webcam -p circle", 2, "a camera is named by its number, such as 0"),
    ("ssa-stream run webcam:99 -p circle", 2, "the scheme 'webcam' is unknown"),
    ("ssa-stream run rtsp:// -p circle", 2, "rtsp:// names no host; expected rtsp://HOST/PATH"),
    ("ssa-stream run http:// -p circle", 2, "http:// names no host"),
    ("ssa-stream run rtsp://user:word@/cam -p circle", 2, "names no host"),
    (f"{UP} --source http://", 2, "stream scene: http:// names no host"),
    ("ssa-stream run 'rtsp://host/a#fps=3&stream=1' -p circle", 2, "leave fps out"),
    ("ssa-stream run video.mp4#stream=x -p circle", 2, "expected the number of a video stream"),
    (f"{RUN} --rtsp-transport udp", 2, "is for rtsp://"),
    (f"{UP} --source nosuch.mp4", 2, "stream scene: nosuch.mp4 does not exist"),
    (f"{UP} --source scene=text.mp4", 1, "stream scene: cannot open text.mp4: it is not a video"),
    (f"{UP} --placement processes --source scene=folder", 2, "stream scene: folder is a directory"),
    (f"{SERVE} --source scene=nosuch.mp4", 2, "stream scene: nosuch.mp4 does not exist"),
    # Weights and where they run
    (f"{RUN} -c nosuch", 2, "there is no file nosuch; shipped checkpoints are: ssa-tiny"),
    (f"{RUN} -c folder", 2, "folder is a folder; expected a weight file"),
    (f"{RUN} -c text.mp4", 1, NOT_WHOLE),
    (f"{RUN} -c ssa-tiny --random-weights", 2, "not both"),
    (f"{RUN} --random-weights --model nosuch", 2, "cannot read model configuration 'nosuch'"),
    (f"{RUN} --clip nosuch.pt", 2, "there is no file nosuch.pt"),
    (f"{RUN} --clip text.mp4 --download-clip", 2, "choose one"),
    (f"{RUN} --device cuda:x", 2, "--device is 'cuda:x'; expected auto, cpu, cuda or cuda:N"),
    (f"{RUN} --dtype int8", 2, "--dtype is 'int8'; expected float32 or bfloat16"),
    (f"{RUN} --engine tensorrt", 2, "--engine is 'tensorrt'; expected one of auto, torch, openvino, onnxruntime"),
    (f"{UP} -c nosuch", 2, "there is no file nosuch"),
    (f"{UP} -c text.mp4", 1, NOT_WHOLE),
    (f"{UP} --device gpu", 2, "model.device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
    (f"{UP} --dtype int8", 2, "model.dtype is 'int8'; expected"),
    (f"{UP} --engine nosuch", 2, "model.engine is 'nosuch'; expected"),
    (f"{SERVE} --engine nosuch", 2, "model.engine is 'nosuch'; expected"),
    (f"{SERVE} -c nosuch", 2, "there is no file nosuch"),
    # Outputs
    (f"{RUN} -o masks.txt", 2, "do not know how to write 'masks.txt'"),
    (f"{RUN} -o taken.mp4", 2, "taken.mp4 (--output) exists already"),
    (f"{RUN} -o nosuch/a.mp4", 2, "there is no folder"),
    (f"{RUN} -o folder.mp4 --overwrite", 2, "is a folder: give a file name"),
    (f"{RUN} -o a.jsonl -o a.jsonl", 2, "are one file"),
    (f"{RUN} --json nosuch/a.json", 2, "there is no folder"),
    (f"{UP} -o taken.mp4", 2, "exists already"),
    (f"{UP} -o masks.txt", 2, "do not know how to write"),
    ("ssa-stream demo --out taken.mp4", 2, "cannot write into taken.mp4"),
    ("ssa-stream demo --placement threads", 2, "expected 'fused' or 'processes'"),
    # Numbers
    (f"{RUN} --window 0", 2, "'--window': Input should be greater than or equal to 1"),
    (f"{RUN} --lookahead 8", 2, "lookahead is 8 frames; expected 0 or more and less than the window (8)"),
    (f"{RUN} --threshold 2", 2, "threshold is 2.0; expected 0 or more and less than 1"),
    (f"{RUN} --half-life nan", 2, "'--half-life': Input should be greater"),
    (f"{UP} --max-frames 0", 2, "'--max-frames': Input should be greater"),
    # Pipelines, addresses and keys
    ("ssa-stream up nosuch", 2, "give one of: browser, demo, two-streams, webcam"),
    ("ssa-stream up nosuch.yaml", 2, "there is no file nosuch.yaml; shipped pipelines are: browser, demo"),
    ("ssa-stream up bad.yaml", 2, "nosuch is not a setting"),
    (
        "ssa-stream up broken.yaml",
        2,
        "is not valid YAML: line 2, column 12: mapping values are not allowed here",
    ),
    ("ssa-stream up text.mp4", 2, "give one of: browser, demo"),
    ("ssa-stream serve nosuch", 2, "give one of: browser, demo, two-streams, webcam"),
    (f"{UP} --publish tcp://127.0.0.1:BUSY", 1, "cannot listen at 127.0.0.1:BUSY"),
    (f"{UP} --requests tcp://127.0.0.1:BUSY", 1, "cannot listen at 127.0.0.1:BUSY"),
    (f"{UP} --publish http://x", 2, "expected tcp://127.0.0.1:PORT"),
    (f"{UP} --publish tcp://*:5", 2, "ssa-stream keys init"),
    (f"{UP} --http 127.0.0.1:BUSY", 1, "cannot listen at 127.0.0.1:BUSY"),
    (f"{UP} --http nowhere", 2, "expected HOST:PORT"),
    (f"{UP} --keys nosuch", 2, "nosuch"),
    (f"{SERVE.replace('--port 0', '--port BUSY')}", 1, "cannot listen at 127.0.0.1:BUSY"),
    (f"{SERVE} --health 127.0.0.1:BUSY", 1, "cannot listen at 127.0.0.1:BUSY"),
    (f"{SERVE} --tls-cert text.mp4", 2, "--tls-cert and --tls-key together"),
    (f"{SERVE} --token-file nosuch", 2, "--token-file: cannot read nosuch"),
    (f"{SERVE} --host 0.0.0.0", 2, "token"),
    (f"{SERVE} --turn a,b", 2, "expected URL or URL,USER,FILE"),
    ("ssa-stream keys init graph", 2, "graph"),
    ("ssa-stream keys add nosuch robot", 2, "nosuch"),
    ("ssa-stream keys list folder", 2, "folder"),
    # Data, training, checkpoints
    ("ssa-stream eval --data nosuch", 2, "nosuch"),
    ("ssa-stream eval --data folder", 2, "meta_expressions.json"),
    (f"{EVAL} -c nosuch", 2, "there is no file nosuch"),
    (f"{EVAL} --device tpu", 2, "--device is 'tpu'"),
    (f"{EVAL} --fps 0", 2, "fps is 0"),
    (f"{EVAL} --mode realtime --eta nan", 2, "etas are"),
    (f"{EVAL} --model-ms 3", 2, "belong to --mode realtime"),
    (f"{EVAL} --sheet a.txt", 2, "pictures have no ending"),
    (f"{EVAL} --json nosuch/a.json", 2, "there is no folder"),
    ("ssa-stream predict --data folder -o new", 2, "expected KIND:DIR"),
    ("ssa-stream predict --data mevis:nosuch -o new", 2, "nosuch is no folder"),
    ("ssa-stream predict --data mevis:folder -o new", 2, "meta_expressions"),
    ("ssa-stream predict --data mevis:folder -o folder --shard 2/2", 2, "--shard is '2/2'; expected I/N"),
    ("ssa-stream predict --data mevis:folder -o taken.mp4", 2, "taken.mp4 is a file; expected a folder"),
    ("ssa-stream predict --data refcoco:folder -o new --mode single", 2, "it takes no --mode"),
    ("ssa-stream data synth --out data --videos 1 --frames 1", 2, "exists already"),
    ("ssa-stream data synth --out data --videos 0", 2, "'--videos': Input should be greater"),
    ("ssa-stream train nosuch --out new", 2, "cannot read train configuration 'nosuch'"),
    ("ssa-stream train bad.yaml --out new", 2, "training configuration is not valid"),
    (f"{TRAIN} --init nosuch", 2, "there is no file nosuch"),
    (f"{TRAIN} --init text.mp4", 1, NOT_WHOLE),
    (f"{TRAIN} --clip nosuch", 2, "there is no file nosuch"),
    (f"{TRAIN} --accelerator quantum", 2, "--accelerator is 'quantum'; expected auto, cpu, cuda"),
    ("ssa-stream train smoke --out taken.mp4", 2, "taken.mp4 is a file; expected a folder"),
    ("ssa-stream train smoke --out run", 2, "run holds a run already; go on with it by --resume"),
    (
        "ssa-stream train ssa-large-mevis --out new",
        2,
        "stage mevis: data/mevis is no folder; expected the root of MeViS",
    ),
    (f"{CHECKPOINT} info nosuch", 2, "there is no file nosuch"),
    (f"{CHECKPOINT} info text.mp4", 1, NOT_WHOLE),
    (f"{CHECKPOINT} convert nosuch -o a.safetensors", 2, "there is no file nosuch"),
    (f"{CHECKPOINT} convert ssa-tiny -o taken.mp4", 2, "exists already"),
    (f"{CHECKPOINT} export nosuch -o a.pth", 2, "there is no file nosuch"),
    (f"{CHECKPOINT} export ssa-tiny -o nosuch/a.pth", 2, "there is no folder"),
    (f"{CHECKPOINT} import nosuch.pth --model ssa-large -o a.safetensors", 2, "there is no file nosuch.pth"),
    (f"{CHECKPOINT} import text.mp4 --model nosuch -o a.safetensors", 2, "cannot read model configuration 'nosuch'"),
    (f"{CHECKPOINT} import text.mp4 --model ssa-large -o a.safetensors", 1, "it is neither a zip file nor a pickle"),
    (f"{CHECKPOINT} verify nosuch", 2, "nosuch"),
    (f"{CHECKPOINT} verify folder --device tpu", 2, "--device is 'tpu'"),
    # Clients
    (f"ssa-stream watch {NOWHERE}", 1, "no publisher at tcp://127.0.0.1:1"),
    (f"ssa-stream watch c/m {NOWHERE}", 2, "is no name"),
    (f"ssa-stream watch --keys nosuch {NOWHERE}", 2, "nosuch"),
    ("ssa-stream watch --address nowhere", 2, "nowhere"),
    (f"ssa-stream status {NOWHERE}", 1, "no publisher"),
    (f"ssa-stream top {NOWHERE}", 1, "no publisher"),
    (f"ssa-stream reload {NOWHERE}", 1, "nobody takes requests"),
    ("ssa-stream nosuch", 2, "No such command 'nosuch'"),
    # Examples
    ("webcam_refer.py --source synthetic", 2, "the following arguments are required: prompt"),
    ("webcam_refer.py '' --source synthetic", 1, NO_SENTENCE),
    ("webcam_refer.py circle --source nosuch.mp4", 1, "nosuch.mp4 does not exist"),
    ("webcam_refer.py circle --source synthetic --checkpoint nosuch", 1, "shipped checkpoints are: ssa-tiny"),
    ("webcam_refer.py circle --source synthetic --output nosuch/a.mp4", 1, "there is no folder"),
    ("rtsp_refer.py", 2, "the following arguments are required: address, prompt"),
    ("rtsp_refer.py rtsp://host/a ''", 1, NO_SENTENCE),
    ("rtsp_refer.py gopher://host/a circle", 1, "the scheme 'gopher' is unknown"),
    ("rtsp_refer.py rtsp://host/a circle --checkpoint nosuch", 1, "there is no file nosuch"),
    ("mask_subscriber.py --stream c/m", 1, "is no name"),
    ("browser_refer.py --num-masks many", 2, "invalid int value: 'many'"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command lines name; `nosuch` and `new` are not there."""
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("folder", "folder.mp4", "run"):
        (folder / name).mkdir()
    (folder / "text.mp4").write_text("this is no video" * 64)
    (folder / "empty.mp4").touch()
    (folder / "run" / "state.pt").touch()
    (folder / "bad.yaml").write_text("nosuch: 1\nstreams: {a: {source: '0'}}")
    (folder / "broken.yaml").write_text("streams:\n  a: source: 0\n")
    write_video(folder / "video.mp4", 2)
    write_video(folder / "taken.mp4", 2)
    make_keys(folder / "graph")
    write_mevis(folder / "data", "val", 0, 1, num_frames=2, config=SceneConfig(size=(32, 64)))
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, tuple[int, str, str]]:
    """What all command lines came to: exit code, stdout, stderr; from one process that cannot import torch."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        lines = [RIGHT, *(line for line, _, _ in CASES)]
        programs = [shlex.split(line.replace("BUSY", port)) for line in lines]
        for words in programs:
            if words[0] != "ssa-stream":
                words[0] = str(ROOT / "examples" / words[0])
        done = subprocess.run(
            [sys.executable, "-P", str(RUNNER)], input=json.dumps(programs), cwd=folder, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [(code, out, errors.replace(port, "BUSY")) for code, out, errors in json.loads(done.stdout)]
    return dict(zip(lines, found, strict=True))


@pytest.mark.parametrize(("line", "code", "text"), CASES, ids=[line for line, _, _ in CASES])
def test_wrong_use_is_told_without_torch(
    line: str, code: int, text: str, answers: dict[str, tuple[int, str, str]]
) -> None:
    """By its exit code and in words; never by a traceback."""
    came, _, errors = answers[line]
    said = " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors, errors
    assert errors.count("\n") == 1 or "usage:" in errors.lower(), errors
    assert text in said
    assert came == code, errors


def test_right_use_would_import_torch(answers: dict[str, tuple[int, str, str]]) -> None:
    """The process bites: what is not wrong comes to where torch is needed."""
    assert "torch is imported" in answers[RIGHT][2]
