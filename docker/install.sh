#!/bin/sh
# Used by the Dockerfile: puts packages into /opt/fedsynth.
#
#   install.sh packages NAME...               by name
#   install.sh dependencies EXCEPT MEMBER...  what the members' pyproject.toml name, but EXCEPT and ours
#
# With wheels in ./wheelhouse pip asks no index at all.
set -eu

pip="/opt/fedsynth/bin/pip install --constraint constraints.txt"
if ls wheelhouse/*.whl >/dev/null 2>&1; then
    pip="$pip --no-index --find-links wheelhouse"
fi

act=$1
shift
case $act in
    packages)
        $pip "$@"
        ;;
    dependencies)
        except=$1
        shift
        for member; do
            python3 - "$member/pyproject.toml" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["project"]["dependencies"], sep="\n")
PYTHON
        done | grep -v -e '^fedsynth' -e "^$except" >wanted.txt
        $pip --requirement wanted.txt
        ;;
esac
