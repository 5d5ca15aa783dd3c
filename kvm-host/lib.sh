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
readonly kernel_modules=(kvm-amd virtio_pci 9pnet_virtio 9p)

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

# Prints the package that the meta package $1 depends on now: linux-image-amd64 -> linux-image-6.1.0-N-amd64.
kernel_package() { apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1; }

# Prints the newest downloaded file of package $1; nothing if there is none.
package_file() { find "$cache/packages" -maxdepth 1 -name "$1_*.deb" 2>/dev/null | sort -V | tail -n 1; }

# Prints the newest downloaded kernel package of flavour $1 (amd64, cloud-amd64).
kernel_file() {
  find "$cache/packages" -maxdepth 1 -regextype posix-extended \
    -regex ".*/linux-image-[0-9.]+-[0-9]+-$1_.*\.deb" 2>/dev/null | sort -V | tail -n 1
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
