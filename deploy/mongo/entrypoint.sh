#!/usr/bin/env bash
# Makes the key file that a replica set with users needs, once, and goes on with the image's own entrypoint.
# mongod refuses a key file that others may read, and one that its user does not own: that rules out a bind mount.
set -euo pipefail

key=/data/configdb/keyfile
if [[ ! -s $key ]]; then
  # 756 bytes are 1,008 characters of base64; mongod takes up to 1,024.
  (umask 077 && head -c 756 /dev/urandom | base64 -w 0 >"$key.new")
  mv "$key.new" "$key"
fi
chown mongodb:mongodb "$key"
chmod 400 "$key"

exec docker-entrypoint.sh "$@"
