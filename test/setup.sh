# shellcheck shell=bash
# What test/run and .ci/run share: getting the programs that the checks need. Sourced, never run.

say() { printf '%s\n' "$*" >&2; }

# need COMMAND APT_PACKAGE BREW_FORMULA WHY: makes sure of a command, or says in one line what to install and answers 69.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  say "installing $1: $4"
  if command -v brew >/dev/null 2>&1; then
    brew install --quiet "$3" >&2 || true
  elif command -v apt-get >/dev/null 2>&1; then
    from_apt "$2" >&2 || true
  fi
  hash -r
  command -v "$1" >/dev/null 2>&1 && return 0
  say "no $1 here and it could not be installed ($4): install it (apt: $2, brew: $3) and run this again"
  return 69
}

from_apt() { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends "$1"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  else
    return 1
  fi
}

# Where Homebrew and hand-made installs live, which a bare PATH leaves out; last, so that nothing is shadowed.
PATH=$PATH:/usr/local/bin:/opt/homebrew/bin:/usr/sbin
export PATH
