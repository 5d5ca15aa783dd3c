# Sourced by ./thimble when there is something to build.

# Prints a line of progress, or of error.
launcher_says() {
  printf 'thimble: %s\n' "$*" >&2
}

# Runs Maven for the launcher's modules in checkout $1; its output goes to file $2.
launcher_maven() {
  local root=$1 log=$2
  shift 2
  "$root/mvnw" -B "$@" -f "$root/pom.xml" -pl cli -am package -Dmaven.test.skip=true -Dspotless.check.skip=true -Djacoco.skip=true </dev/null >"$log" 2>&1
}

# Builds the launcher in checkout $1 and writes the record $2, which ./thimble reads: jdk, class_path, aot_cache, user_java_home.
build_launcher() {
  local root=$1 record=$2 home jars stamp log id target
  . "$root/tools/find-jdk.sh"
  home=$(find_jdk 25) || exit 118
  target=${record%/*}
  mkdir -p "$target" || exit 119
  exec 9>"$target/lock"
  if command -v flock >/dev/null && ! flock -n 9; then
    launcher_says "waiting for another build of the launcher ..."
    flock 9
  fi
  stamp=$target/stamp.$$
  log=$target/build.log
  : >"$stamp"
  launcher_says "building the launcher (on first use, and when its sources have changed) ..."
  # Without the network first: it is quicker, and all there is after the first time.
  if ! launcher_maven "$root" "$log" -o && { ! grep -aqi offline "$log" || ! launcher_maven "$root" "$log"; }; then
    grep -aE '^\[(ERROR|WARNING)\] (/|Failed)' "$log" | awk '!seen[$0]++' | head -n 20 >&2
    launcher_says "the build failed; all of its output is in $log"
    rm -f "$stamp"
    exit 119
  fi
  # Each content has a folder of its own: a launcher that runs meanwhile keeps its jars, and an old cache never meets new ones.
  id=$({ cat "$root"/cli/target/lib/*.jar "$root"/cli/target/thimble-cli-*.jar "$home/release" && printf '%s' "$home"; } | sha256sum)
  id=${id:0:16}
  if [[ ! -d $target/$id ]]; then
    rm -rf "$target/new.$$"
    mkdir "$target/new.$$"
    cp "$root"/cli/target/lib/*.jar "$root"/cli/target/thimble-cli-*.jar "$target/new.$$"
    mv "$target/new.$$" "$target/$id"
  fi
  jars=$(printf '%s:' "$target/$id"/*.jar)
  {
    printf 'jdk=%q\n' "$home"
    printf 'user_java_home=%q\n' "${JAVA_HOME-}"
    printf 'class_path=%q\n' "${jars%:}"
    printf 'aot_cache=%q\n' "$target/$id/thimble.aot"
  } >"$record.$$"
  launcher_train "$home" "${jars%:}" "$target/$id"
  touch -r "$stamp" "$record.$$"
  mv "$record.$$" "$record"
  rm -f "$stamp"
  find "$target" -mindepth 1 -maxdepth 1 -type d ! -name "$id" -exec rm -rf {} +
  exec 9>&-
}

# Makes the start-up cache of JDK $1 for class path $2 in folder $3, by a real run. Without it the launcher works as well, only slower.
launcher_train() {
  local home=$1 jars=$2 folder=$3
  [[ ! -e $folder/thimble.aot && -r /dev/kvm && -w /dev/kvm ]] || return 0
  launcher_says "preparing its start-up cache ..."
  "$home/bin/java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx96m --enable-native-access=ALL-UNNAMED \
    "-XX:AOTCacheOutput=$folder/training.aot" -cp "$jars" io.thimble.cli.Main run -- true </dev/null >"$folder/training.log" 2>&1 &&
    [[ -s $folder/training.aot ]] && mv "$folder/training.aot" "$folder/thimble.aot" ||
    launcher_says "no start-up cache: $folder/training.log says why; the launcher works without it"
}
