# Sourced by the scripts beside it: how they speak. One line a step; what the commands print goes to build/setup.log,
# whose tail is shown where a step fails.
log=build/setup.log

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
  say "$*" >&2
  exit 1
}

misuse() {
  say "$*" >&2
  exit 2
}

# step WHAT COMMAND... says WHAT and runs COMMAND; the script ends where it fails.
step() {
  local what=$1 code=0
  shift
  say "$what"
  { mkdir -p build && printf '\n== %s %s\n' "$(date -u +%FT%TZ)" "$*" >>$log; } 2>/dev/null ||
    die "cannot write $PWD/$log; give it to $(id -un), or remove it, and try again"
  "$@" >>$log 2>&1 </dev/null || code=$?
  [ $code -ne 0 ] || return 0
  tail -n 15 $log >&2
  die "failed: $what (exit $code; the whole log is $PWD/$log)"
}
