#!/bin/sh
# Install what lies beside this script for the user who runs it, start it, and start it with the system.
# WAKEWORD_PYTHON=PATH uses that interpreter, with its libraries, in place of an environment of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

case "$(uname -m)-$(getconf LONG_BIT)" in
    aarch64-64 | x86_64-64) list=requirements-aarch64.txt ;;
    *-32) list=requirements-armv7l.txt ;;
    *) echo "install.sh: no list of libraries for $(uname -m); see README.md" >&2; exit 1 ;;
esac

if [ -n "${WAKEWORD_PYTHON:-}" ]; then
    python=$WAKEWORD_PYTHON
else
    python3 -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || {
        echo "install.sh: need Python 3.10 to 3.13 with venv: sudo apt install python3-venv" >&2
        exit 1
    }
    if [ ! -x venv/bin/python ]; then
        rm -rf venv.new
        python3 -m venv venv.new
        rm -rf venv
        mv venv.new venv
    fi
    python=$here/venv/bin/python
    # A 32-bit system on a 64-bit kernel must say so, or pip looks for the wrong wheels.
    wrap=$([ "$(getconf LONG_BIT)" = 32 ] && command -v linux32 || true)
    $wrap "$python" -m pip install --quiet --disable-pip-version-check -r "$list"
fi
printf '%s\n' "$python" > python.path

# Prove that the model runs here before anything is started.
PYTHONPATH="$here/lib" "$python" -m wakeword detect --model @NAME@.json check.wav > check.txt || {
    echo "install.sh: the model does not run here" >&2
    exit 1
}

if [ -f service.pid ]; then
    kill -- "-$(cat service.pid)" 2> /dev/null || true
    rm -f service.pid
fi
if systemctl --user show-environment > /dev/null 2>&1; then
    units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
    mkdir -p "$units"
    sed "s|@HOME@|$here|" wakeword.service > "$units/wakeword.service"
    systemctl --user daemon-reload
    systemctl --user enable --quiet wakeword.service
    systemctl --user restart wakeword.service
    loginctl enable-linger > /dev/null 2>&1 ||
        echo "install.sh: it will stop when you log out; sudo loginctl enable-linger $(id -un)" >&2
else
    echo "install.sh: no systemd for this user; started by hand, until the next boot" >&2
    # In a group of its own, so that the microphone ends with the listener.
    nohup setsid sh run.sh > service.log 2>&1 < /dev/null &
    echo $! > service.pid
fi
echo "installed in $here"
