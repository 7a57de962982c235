#!/bin/sh
# npm start: from a fresh clone to a running application. Says each step; a second run finds everything running.
set -eu
cd "$(dirname "$0")/.."
exec sh deploy/with-packages.sh node deploy/start.ts "$@"
