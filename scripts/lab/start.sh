#!/bin/sh
# The lab's first program, below tini. Directories of the host are below /mnt; the command is /mnt/job/run.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

end() {
  sync
  echo o > /proc/sysrq-trigger
  sleep 60
}
trap end EXIT

set -e
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo "+cpu +memory +pids +io +cpuset" > /sys/fs/cgroup/cgroup.subtree_control
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
hostname lab
ip link set lo up
modprobe kvm-amd nested=0
for module in overlay loop tun virtio_rng erofs; do modprobe "$module"; done
mkdir -p /run/lab /lab

# Each line of `places`: a name below the share, and the path that it has here; writable, and private to this run.
while read -r name path; do
  mkdir -p "/lab/$name/upper" "/lab/$name/work" "$path"
  mount -t overlay -o "lowerdir=/mnt/$name,upperdir=/lab/$name/upper,workdir=/lab/$name/work" overlay "$path"
done < /mnt/job/places
python3 /mnt/job/hold.py > /run/lab/held &
for _ in $(seq 100); do [ -s /run/lab/held ] && break; sleep 0.1; done

ln -sf /opt/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf /opt/npm/bin/npx-cli.js /usr/local/bin/npx
set +e

# The device of a port of this machine's, by its name.
port() {
  echo "/dev/$(basename "$(dirname "$(grep -lx "lab.$1" /sys/class/virtio-ports/*/name)")")"
}

mkfifo /run/lab/stdout /run/lab/stderr
cat < /run/lab/stdout > "$(port stdout)" &
writers=$!
cat < /run/lab/stderr > "$(port stderr)" &
writers="$writers $!"
sh /mnt/job/run < /dev/null > /run/lab/stdout 2> /run/lab/stderr
code=$?
# What a command left running holds its output open; it ends with the machine.
timeout 5 tail --pid="${writers% *}" -f /dev/null
timeout 5 tail --pid="${writers#* }" -f /dev/null
echo "$code" > "$(port result)"
