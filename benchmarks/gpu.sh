#!/usr/bin/env bash
# Everything that is to be known of a GPU, in at most eight minutes:
#
#     benchmarks/gpu.sh                       # prints a table, writes gpu.json and gpu.md to the present folder
#     OUT=/some/folder benchmarks/gpu.sh --parts parity engines
#
# It needs a Python with torch for CUDA and this package's requirements (PYTHON=..., else .venv, else python3), and no
# network. WHEELS=FOLDER names wheels to use beside that Python's packages. The package need not be installed.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "${OUT:-.}" && pwd) || exit 2

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in "$root/.venv/bin/python" "$(command -v python3)"; do
        if [ -x "$candidate" ] && "$candidate" -c '' 2>/dev/null; then python=$candidate && break; fi
    done
fi
[ -n "$python" ] || { echo "no Python was found; name one with PYTHON=..." >&2; exit 2; }

place=$(mktemp -d) || exit 2
trap 'rm -rf "$place"' EXIT
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$place/site" "$WHEELS"/*.whl || exit 2
    export PYTHONPATH="$place/site${PYTHONPATH:+:$PYTHONPATH}"
fi

# The package as it is installed, by links: three of its folders lie beside it.
mkdir "$place/ssa_stream"
ln -s "$root"/ssa_stream/* "$place/ssa_stream/"
ln -s "$root/nodes" "$root/protocols" "$root/configs" "$place/ssa_stream/"
ln -s "$root/benchmarks" "$root/tests" "$place/"
cd "$place" || exit 2

"$python" - <<'CHECK' || exit 2
import importlib.util
import sys

needed = "torch torchvision timm open_clip numpy scipy safetensors msgspec yaml PIL".split()
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"{sys.executable} lacks {', '.join(missing)}: name another with PYTHON=..., or their wheels with WHEELS=...")
useful = {"triton": "operator", "av": "decoding", "onnxruntime": "engines: onnxruntime"}
for name, part in useful.items():
    if importlib.util.find_spec(name) is None:
        print(f"without {name} there is nothing on: {part}", file=sys.stderr)
CHECK
"$python" -m benchmarks.gpu --out "$out" "$@"
