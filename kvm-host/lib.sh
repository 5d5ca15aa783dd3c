# Shared by setup and run (bash): where things are cached, what they are called, how failures are told.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${THIMBLE_CACHE:-$HOME/.cache/thimble}/kvm-host
qemu=${THIMBLE_QEMU:-qemu-system-x86_64}

# Exit statuses of sysexits.h: what the user has to change is told apart from what failed.
readonly EX_USAGE=64 EX_UNAVAILABLE=69 EX_SOFTWARE=70

# JDK modules in L1: what JUnit, AssertJ and the VMM use, and the tools to look into a JVM that hangs.
readonly jdk_modules=java.base,java.compiler,java.instrument,java.logging,java.management,java.naming,java.sql,java.xml,jdk.attach,jdk.jcmd,jdk.jfr,jdk.management,jdk.net,jdk.unsupported,jdk.zipfs

# Drivers that L1 loads before the template is taken, without what they depend on.
readonly kernel_modules=(kvm-amd virtio_pci 9pnet_virtio 9p virtio_console virtio_scsi sd_mod tun veth bridge loop ext4)

# Drivers that guests load, before what depends on them (setup adds what they depend on).
readonly guest_modules=(virtio_mmio virtio_blk virtio_console virtio_net virtio_rng virtio_balloon vmw_vsock_virtio_transport ext4)

say() { echo "kvm-host: $*" >&2; }

die() {
  local status=$1
  shift
  say "$*"
  exit "$status"
}

# Prints the home of a JDK that has jlink.
jdk_home() {
  local home
  home=$(. "$root/tools/find-jdk.sh" && JAVA_HOME=${THIMBLE_JAVA_HOME:-${JAVA_HOME:-}} find_jdk 25) || exit $EX_UNAVAILABLE
  [ -x "$home/bin/jlink" ] || die $EX_UNAVAILABLE "$home has no jlink: name another JDK 25 with THIMBLE_JAVA_HOME"
  echo "$home"
}

# Packages that L1's image is made from, "NAME SUITE PACKAGE KIND": NAME is the directory in the cache's packages/, SUITE "-" for the
# machine's own Debian. KIND "-" means PACKAGE itself; otherwise PACKAGE stands for a kernel, and meant is the linux-image on which it
# depends, or the linux-binary or linux-modules on which that depends, into which newer ones are split.
readonly image_packages=(
  'busybox-static - busybox-static -'
  'libc6 - libc6 -'
  'krunfw sid libkrunfw5 -'
  'debian12 - linux-image-amd64 linux-image'
  'debian12-cloud - linux-image-cloud-amd64 linux-image'
  'debian13-cloud trixie linux-image-cloud-amd64 linux-image'
  'sid-cloud sid linux-image-cloud-amd64 linux-binary'
  'sid-cloud-modules sid linux-image-cloud-amd64 linux-modules'
)

# Kernels that guests are started from: their directories in L1's /guests. L1's own is debian12, since the cloud flavour has no 9p.
readonly guest_kernels=(debian12 debian12-cloud debian13-cloud sid-cloud)

# Prints the newest downloaded package in the cache's directory packages/$1; nothing if there is none.
package_file() { { find "$cache/packages/$1" -maxdepth 1 -name '*.deb' 2>/dev/null || true; } | sort -V | tail -n 1; }

# Prints everything that L1's image is made from, a file a line. An empty line is one that is missing.
image_inputs() {
  local package
  for package in "${image_packages[@]%% *}"; do
    echo "$(package_file "$package")"
  done
}

# Fails unless QEMU is one that was proven: 10.0.2 hung in 6 of 8 boots of a stock kernel, 7.2 in none of 40.
require_qemu() {
  command -v "$qemu" >/dev/null ||
    die $EX_UNAVAILABLE "no $qemu: kvm-host/setup installs Debian 12's qemu-system-x86, or name one with THIMBLE_QEMU"
  qemu_version=$("$qemu" --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
  case $qemu_version in
    7.2 | 7.2.*) ;;
    10.*) die $EX_UNAVAILABLE "QEMU $qemu_version hangs when it emulates AMD-V: name a 7.2 with THIMBLE_QEMU" ;;
    *) die $EX_UNAVAILABLE "QEMU $qemu_version was never proven to emulate AMD-V well: name a 7.2 with THIMBLE_QEMU" ;;
  esac
}

# Prints the hash that names L1's image: of everything that goes into it.
image_key() {
  local jdk=$1
  shift
  {
    sha256sum "$@" "$here/init" "$here/setup" "$here/lib.sh" | cut -d' ' -f1
    cat "$jdk/release"
  } | sha256sum | cut -c1-16
}
