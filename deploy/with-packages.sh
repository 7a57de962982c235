#!/bin/sh
# Runs a command of this project with its npm packages, which are installed when they are missing, and its Node.js.
set -eu
sh "$(dirname "$0")/npm-packages.sh"
exec sh "$(dirname "$0")/with-node.sh" "$@"
