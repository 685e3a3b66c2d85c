#!/bin/sh
# Listen: through PortAudio where it is installed, else through arecord.
set -eu
cd "$(dirname "$0")"
export PYTHONPATH="$PWD/lib" PYTHONUNBUFFERED=1
python=$(cat python.path)
if [ -z "${WAKEWORD_ARECORD:-}" ] && "$python" -c 'import sounddevice' 2> /dev/null; then
    exec "$python" -m wakeword listen @NAME@.json --json
fi
command -v arecord > /dev/null || {
    echo "run.sh: no way to hear: sudo apt install libportaudio2, or alsa-utils" >&2
    exit 1
}
arecord -q -r 16000 -f S16_LE -c 1 -t raw | "$python" -m wakeword listen --stdin @NAME@.json --json
