/** What mmdebstrap is told for every image. dpkg need not flush: a build is flushed as a whole, a sandbox's disk never. */
export const builderOptions: readonly string[] = [
  "--mode=root",
  "--variant=apt",
  "--format=directory",
  "--dpkgopt=force-unsafe-io",
];

/** Runs in the new image: takes away what only the building host had, and what differs from one build to the next. */
export const finishScript: string = `
: >/etc/machine-id
: >/etc/resolv.conf
echo sandbox >/etc/hostname
printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost\\n' >/etc/hosts
rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/apt/sources.list /etc/apt/sources.list.d/*
rm -f /var/lib/dbus/machine-id /var/cache/debconf/*-old /var/lib/dpkg/*-old
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
rm -rf /tmp/* /tmp/.[!.]* /var/tmp/* /var/log/apt /var/log/*.log
`;

/** Runs in the new image with a file as its input: puts it where the recipe wants it. */
export const putScript: string = `mkdir -p "$(dirname "$1")"; rm -f "$1"; cat >"$1"; chmod "$2" "$1"`;
