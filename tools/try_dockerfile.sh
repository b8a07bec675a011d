#!/usr/bin/env bash
# Build deploy/Dockerfile without Docker and without a registry of images, and start what was built: with buildah, from a
# base image that debootstrap makes. As root, where packages can be installed:
#
#     apt-get install buildah debootstrap
#     tools/try_dockerfile.sh FOLDER [OPTION of buildah build ...]
#     tools/try_dockerfile.sh build/image --volume /etc/pip.conf:/etc/pip.conf:ro --build-arg TORCH_INDEX=URL
#
# FOLDER, of some 20 GiB, keeps the base and the image for the next time. Too long for the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mkdir -p "$1" && realpath "$1")
shift
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-overlay}
buildah=(buildah --root "$folder/storage" --runroot "$folder/run")

if [ -z "$("${buildah[@]}" images --quiet localhost/base 2>/dev/null)" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
    [ -e "$folder/base/usr/bin/python3" ] || debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        stable "$folder/base" "$mirror"
    container=$("${buildah[@]}" from scratch)
    "${buildah[@]}" add --quiet "$container" "$folder/base" /
    "${buildah[@]}" commit --quiet --rm "$container" localhost/base
fi

"${buildah[@]}" build --file deploy/Dockerfile --ignorefile deploy/Dockerfile.dockerignore --format docker \
    --build-arg BASE=localhost/base --tag localhost/ssa-stream "$@" .

echo "==> What the image is"
"${buildah[@]}" inspect --type image --format \
    'user {{.Docker.Config.User}}, entry point {{.Docker.Config.Entrypoint}}, command {{.Docker.Config.Cmd}}{{println}}' \
    localhost/ssa-stream
"${buildah[@]}" inspect --type image --format '{{.Docker.Config.Healthcheck}}{{println}}' localhost/ssa-stream

echo "==> doctor, a graph with its health check, and SIGTERM, as the image's user"
container=$("${buildah[@]}" from localhost/ssa-stream)
trap '"${buildah[@]}" rm "$container" >/dev/null' EXIT
"${buildah[@]}" run "$container" -- sh -euc '
    id
    ssa-stream doctor || true
    ssa-stream up two-streams --http 127.0.0.1:8081 --publish "tcp://127.0.0.1:*" --requests "tcp://127.0.0.1:*" \
        2>/tmp/log & graph=$!
    until python -c "import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8081/readyz\", timeout=4)" 2>/dev/null
    do kill -0 $graph || { cat /tmp/log; exit 1; }; sleep 1; done
    python -c "import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8081/livez\", timeout=4)"
    kill -TERM $graph
    wait $graph || echo "exit code $?"
    tail -n 5 /tmp/log'
