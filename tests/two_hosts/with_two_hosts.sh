#!/usr/bin/env bash
# Runs a command beside two hosts that share a folder, and stops them when the command ends. Needs root and Debian.
#   tests/two_hosts/with_two_hosts.sh .venv/bin/python -m pytest -m two_hosts
# Each has a name, a network and mounts of its own, a wire joins them, and the folder is a GlusterFS volume that the first
# serves: it has locks between hosts, and needs nothing of the kernel but FUSE. Tests find in $TWO_HOSTS
#   on NUMBER COMMAND...   runs a command on a host
#   wire up|down           joins the hosts, or parts them
#   folder                 the path of what they share, on both
set -euo pipefail

command -v glusterd gluster glusterfs ip nsenter >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends glusterfs-server glusterfs-client iproute2 util-linux >/dev/null
}
pgrep -x glusterd >/dev/null && {
  echo "a glusterd runs here already, and is left alone" >&2
  exit 1
}

here=$(mktemp -d)
one=suite-$$-1
two=suite-$$-2
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" || true; done 2>/dev/null
  pkill -x glusterfsd || true
  pkill -x glusterd || true
  sleep 1
  pkill -f "$here/shared" || true
  ip netns del "$one" || true
  ip netns del "$two" || true
  rm -rf "$here"
} 2>/dev/null
trap stop EXIT

ip netns add "$one"
ip netns add "$two"
ip link add wire-1 netns "$one" type veth peer name wire-2 netns "$two"
for number in 1 2; do
  ip -n "suite-$$-$number" address add "10.9.0.$number/24" dev "wire-$number"
  ip -n "suite-$$-$number" link set lo up
  ip -n "suite-$$-$number" link set "wire-$number" up
done

mkdir -p "$here"/{state,brick,shared,log}
cat >"$here/glusterd.vol" <<END
volume management
    type mgmt/glusterd
    option working-directory $here/state
    option transport-type socket
    option transport.address-family inet
end-volume
END
ip netns exec "$one" glusterd -f "$here/glusterd.vol" -l "$here/log/glusterd.log" -p "$here/glusterd.pid"
volume() { ip netns exec "$one" gluster --mode=script volume "$@" >/dev/null; }
for _ in {1..40}; do volume info 2>/dev/null && break || sleep 0.5; done
volume create shared "10.9.0.1:$here/brick/b" force
volume set shared network.ping-timeout 10
volume start shared

for number in 1 2; do
  ip netns exec "suite-$$-$number" unshare --mount --uts --propagation private bash -c "
    hostname host-$number
    glusterfs --volfile-server=10.9.0.1 --volfile-id=shared --log-file=$here/log/client-$number.log $here/shared
    exec sleep infinity" &
  pids+=($!)
done

cat >"$here/on" <<END
#!/usr/bin/env bash
pids=(- ${pids[*]})
number=\$1
shift
exec nsenter --target "\${pids[\$number]}" --mount --uts --net --wdns="\$PWD" -- "\$@"
END
cat >"$here/wire" <<END
#!/usr/bin/env bash
exec ip -n $two link set wire-2 "\$1"
END
chmod +x "$here/on" "$here/wire"
echo "$here/shared" >"$here/folder"

for number in 1 2; do
  for _ in {1..40}; do "$here/on" "$number" mountpoint -q "$here/shared" && break || sleep 0.5; done
  "$here/on" "$number" mountpoint -q "$here/shared" || {
    tail -n 20 "$here"/log/*.log >&2
    exit 1
  }
done
export TWO_HOSTS=$here
"$@"
