# Sourced by ./mvnw and ./thimble.

# Prints the major version of the JDK in folder $1, without starting it; nothing if it is none.
jdk_major() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

# Prints the home of a JDK of at least version $1: JAVA_HOME, the java on PATH, or one where JDKs are usually installed.
find_jdk() {
  local wanted=$1 candidate major java
  java=$(command -v java 2>/dev/null || true)
  [ -z "$java" ] || java=$(dirname "$(dirname "$(readlink -f "$java")")")
  for candidate in "${JAVA_HOME:-}" "$java" /usr/lib/jvm/* /opt/java/* /opt/jdk* /usr/java/* \
    "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* "$HOME"/.asdf/installs/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    [ -n "$candidate" ] && [ -d "$candidate" ] && [ ! -L "$candidate" ] || continue
    major=$(jdk_major "$candidate")
    if [ -n "$major" ] && [ "$major" -ge "$wanted" ]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  echo "thimble: no JDK $wanted found: install one (for example Temurin $wanted) or set JAVA_HOME to it" >&2
  return 1
}
