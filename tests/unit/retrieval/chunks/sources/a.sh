#!/bin/bash
# Backs up a folder.

set -e
LIMIT=3

# Prints how the script is called.
usage() {
  cat <<EOF
usage: x
EOF
  exit 1
}

function run {
  usage "$1"
}
