#!/bin/sh
# Makes a virtual environment hold what a lock file names, and Jobreel itself. Safe to repeat.
# usage: scripts/install.sh VENV LOCK          (PYTHON=python3.12 chooses the interpreter)
set -eu
venv=$1
lock=$2

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

install_command() { # what installs these packages here
    if command -v apt-get >/dev/null; then
        echo "sudo apt install $*"
    elif command -v dnf >/dev/null; then
        echo "sudo dnf install $*"
    else
        echo "install with your package manager: $*"
    fi
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Jobreel needs Python 3.11 or newer, and there is none here. Try:" \
        "    $(install_command python3.11 python3.11-venv)"
}

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: its venv package is missing. Try:" \
            "    $(install_command "$(basename "$python")-venv")"
    "$python" -m venv --clear "$venv"
fi
case $lock in
*dev.lock)
    command -v git >/dev/null || fail "The tests need git. Try:" "    $(install_command git)"
    ;;
esac

pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
echo "Installing $lock into $venv" >&2
$pip install --require-hashes --only-binary :all: -r "$lock"
$pip install --no-deps --no-build-isolation --editable .
