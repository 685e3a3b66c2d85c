#!/bin/sh
# Stop listening and do not start with the system any more.
cd "$(dirname "$0")" || exit 1
if [ -f service.pid ]; then
    kill -- "-$(cat service.pid)" 2> /dev/null
    rm -f service.pid
else
    systemctl --user disable --now wakeword.service
fi
