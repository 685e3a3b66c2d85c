#!/bin/sh
# Show what is heard, until Ctrl-C.
cd "$(dirname "$0")" || exit 1
if [ -f service.pid ]; then
    exec tail -n +1 -f service.log
fi
exec journalctl --user --unit wakeword --lines 20 --follow --output cat
