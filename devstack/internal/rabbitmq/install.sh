#!/bin/sh
# Installs rabbitmq-server from the Debian archive without starting a system
# broker. Debian starts a service as part of its installation unless
# /usr/sbin/policy-rc.d forbids it with exit code 101; this script puts such a
# policy in place for the duration and restores what was there, also when it is
# interrupted.
set -eu
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
saved=$policy.devstack-saved

# One at a time: the policy of one run must not become the original of another.
exec 9>/var/lock/devstack-install
flock 9

restore() {
	rm -f "$policy"
	if [ -e "$saved" ]; then mv "$saved" "$policy"; fi
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A copy of an interrupted run is the original: keep it.
if [ -e "$policy" ] && [ ! -e "$saved" ]; then mv "$policy" "$saved"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

install_packages() {
	apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 rabbitmq-server
}

# Another run may have done it meanwhile; apt-get then has nothing to do. A fresh
# container has no package lists, an old one has stale ones. A download may fail
# once, and a fresh machine updates itself and holds the locks: apt-get waits for
# the one of packages, not for the one of their lists.
if ! apt-cache show rabbitmq-server >/dev/null 2>&1; then apt-get update || true; fi
for pause in 1 5 20 60; do
	if install_packages; then exit 0; fi
	sleep $pause
	apt-get update -o Acquire::Retries=5 || true
done
install_packages
