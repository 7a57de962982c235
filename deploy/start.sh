#!/bin/sh
# npm start: from a fresh clone to a running application. Says each step; a second run finds everything running.
set -eu
cd "$(dirname "$0")/.."
sh deploy/npm-packages.sh
exec sh deploy/with-node.sh node deploy/start.ts "$@"
