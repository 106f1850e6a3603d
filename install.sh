#!/bin/sh
# Builds meshmac from this checkout and installs it. `./install.sh --help` says what it takes.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# A child of ours that obeyed these would be Bun, or run somebody's preload, in place of meshmac.
unset BUN_OPTIONS BUN_BE_BUN

usage() {
  cat <<'TEXT'
Usage: ./install.sh [option]

Builds dist/meshmac, runs it once, and installs it into $PREFIX/bin (PREFIX: default ~/.local).
No root needed. Twice in a row is harmless.

  --install          build and install; what happens without an option
  --build            build dist/meshmac only
  --target TARGET    build for another machine, as dist/meshmac-TARGET; neither run nor installed
                     TARGET: bun-darwin-arm64, bun-linux-x64 or bun-linux-arm64
  --uninstall        remove the installed meshmac
  --tools            make sure of the pinned Bun and print its path
  --pin              print the version of Bun that package.json pins
  --help             print this

Exit status: 0 done, 64 usage, 69 a download failed, 70 the build failed, 77 a folder cannot be written,
78 package.json pins no Bun.
TEXT
}

say() { printf '%s\n' "$*" >&2; }

# fail STATUS WHAT HINT
fail() {
  say "install.sh: $2"
  say "hint: $3"
  exit "$1"
}

# --- the pinned Bun ---------------------------------------------------------------------------------------------------

pin() {
  pinned=$(sed -n 's/^[[:space:]]*"packageManager"[[:space:]]*:[[:space:]]*"bun@\([0-9][0-9A-Za-z.-]*\)".*/\1/p' \
    "$root/package.json" 2>/dev/null || true)
  [ -n "$pinned" ] || fail 78 "package.json pins no Bun" 'put "packageManager": "bun@<version>" into package.json'
  printf '%s\n' "$pinned"
}

is_pinned() { [ -x "$1" ] && [ "$("$1" --version 2>/dev/null)" = "$bun_version" ]; }

# Prints the first Bun of the pinned version in the folder. npm leaves the real one beside the `bun` package when it was
# told not to run install scripts; then node_modules/.bin/bun only prints an explanation.
bun_in() {
  for candidate in "$1"/node_modules/.bin/bun "$1"/node_modules/@oven/*/bin/bun "$1"/bin/bun; do
    if is_pinned "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

get_with_npm() {
  say "getting Bun $bun_version with npm into $tools"
  npm install --prefix "$1" --no-audit --no-fund --no-update-notifier --loglevel=error "bun@$bun_version" >&2
}

get_with_installer() {
  for need in curl unzip bash; do command -v "$need" >/dev/null 2>&1 || return 1; done
  say "getting Bun $bun_version with Bun's own installer into $tools"
  # Downloaded whole before it runs, so that a cut connection runs half of nothing. SHELL=/bin/sh leaves ~/.bashrc and
  # ~/.zshrc alone: https://github.com/oven-sh/bun/blob/main/src/cli/install.sh
  curl -fsSL --retry 2 -o "$1/installer" https://bun.sh/install &&
    BUN_INSTALL="$1" SHELL=/bin/sh bash "$1/installer" "bun-v$bun_version" >&2
}

# Sets bun to the path of a Bun of exactly the pinned version, fetching one into a folder of ours where there is none.
need_bun() {
  bun_version=$(pin)
  bun=$(command -v bun 2>/dev/null || true)
  case $bun in
    /*) if is_pinned "$bun"; then return 0; fi ;;
  esac

  if [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]; then
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/meshmac/bun-$bun_version
  else
    tools=$root/.bun/bun-$bun_version
  fi
  if bun=$(bun_in "$tools"); then return 0; fi

  mkdir -p "${tools%/*}" || fail 77 "cannot write ${tools%/*}" "set XDG_CACHE_HOME to a folder that you may write"
  # Filled aside and renamed, so that two runs at once, or one that was cut, leave no half of a Bun behind.
  aside=$(mktemp -d "$tools.XXXXXX")
  trap 'rm -rf "$aside"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  got=no
  if command -v npm >/dev/null 2>&1 && get_with_npm "$aside" && bun_in "$aside" >/dev/null; then got=yes; fi
  if [ "$got" = no ] && get_with_installer "$aside" && bun_in "$aside" >/dev/null; then got=yes; fi
  [ "$got" = yes ] || fail 69 "could not get Bun $bun_version" \
    "install npm, or curl with unzip and bash, or put Bun $bun_version on PATH (https://bun.com/docs/installation), then run this again"
  chmod 755 "$aside"
  # Another run may have put its own there meanwhile; a folder that does not work is replaced.
  bun_in "$tools" >/dev/null || { rm -rf "$tools" && mv "$aside" "$tools"; }
  rm -rf "$aside"
  trap - EXIT INT TERM
  bun=$(bun_in "$tools") || fail 70 "the Bun in $tools does not run" "remove that folder and run this again"
}

# Node and Bun bring their own list of authorities. Where an administrator has added one to the system's list (a proxy
# that looks into TLS), trust what the system trusts, as curl and git do.
trust_the_system() {
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || return 0
  for list in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [ -r "$list" ]; then
      NODE_EXTRA_CA_CERTS=$list
      export NODE_EXTRA_CA_CERTS
      return 0
    fi
  done
}

# --- build ------------------------------------------------------------------------------------------------------------

# compile OUTFILE [TARGET]
compile() {
  cd "$root"
  # The compile needs no development dependency; those of a checkout stay where they are.
  "$bun" install --frozen-lockfile --production >&2 || fail 69 "could not install the packages of bun.lock" \
    "check the network (HTTPS_PROXY, NODE_EXTRA_CA_CERTS); where bun.lock and package.json differ, run bun install"
  # bytecode needs the esm format: as cjs it "succeeds" and writes a binary that dies at its start.
  # The two autoloads would run what lies in the folder somebody happens to stand in.
  "$bun" build commands/main.ts --compile --minify --bytecode --format=esm --splitting --sourcemap \
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
    ${2:+"--target=$2"} --outfile "$1" >&2 || fail 70 "the build failed" "see the lines above"
}

version_here() { sed -n 's/^[[:space:]]*"version"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$root/package.json" | head -n 1; }

# Runs the binary where no file of ours lies: a broken one exits 0 at build time and is found out here.
try_out() {
  mkdir "$aside/empty"
  answer=$(cd "$aside/empty" && "$1" --version 2>&1) || fail 70 "the new meshmac ended with status $?: ${answer:-no output}" \
    "nothing was installed; see commands/main.ts, or report this line together with the output of uname -a"
  case $answer in
    *"$(version_here)"*) ;;
    *) fail 70 "the new meshmac says \"$answer\" for its version, not $(version_here)" "nothing was installed; see commands/main.ts" ;;
  esac
}

# Builds aside and renames, so that dist/meshmac is never half written and a running one is not disturbed.
build() {
  need_bun
  mkdir -p "$root/dist"
  aside=$(mktemp -d "$root/dist/.build.XXXXXX")
  trap 'rm -rf "$aside"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  compile "$aside/meshmac" "$@"
}

build_here() {
  build
  try_out "$aside/meshmac"
  mv -f "$aside/meshmac" "$root/dist/meshmac"
  say "built dist/meshmac: $answer"
}

build_for() {
  case $1 in
    bun-darwin-arm64 | bun-linux-x64 | bun-linux-arm64) ;;
    *) fail 64 "unknown target \"$1\"" "one of bun-darwin-arm64, bun-linux-x64, bun-linux-arm64" ;;
  esac
  build "$1"
  mv -f "$aside/meshmac" "$root/dist/meshmac-$1"
  say "built dist/meshmac-$1: not run here and not installed; copy it to the other machine and run it there with --version"
}

# --- install ----------------------------------------------------------------------------------------------------------

bin_dir() {
  [ -n "${PREFIX:-${HOME:-}}" ] || fail 64 "neither PREFIX nor HOME is set" "PREFIX=/usr/local ./install.sh"
  printf '%s/bin\n' "${PREFIX:-$HOME/.local}"
}

# A rename replaces the old one in one step, also while it runs.
put() { mkdir -p "$2" && cp "$1" "$2/.meshmac.$$" && chmod 755 "$2/.meshmac.$$" && mv -f "$2/.meshmac.$$" "$2/meshmac"; }

install_here() {
  to=$(bin_dir)
  build_here
  put "$root/dist/meshmac" "$to" || {
    rm -f "$to/.meshmac.$$"
    fail 77 "cannot write $to" "set PREFIX to a folder that you may write; dist/meshmac is ready to be copied"
  }
  case ":$PATH:" in
    *":$to:"*) name=meshmac ;;
    *) name=$to/meshmac ;;
  esac
  printf 'installed %s\n' "$to/meshmac"
  [ "$name" = meshmac ] || printf '%s is not on your PATH, hence the full path below\n' "$to"
  printf 'next: %s up --demo\n' "$name"
}

uninstall() {
  to=$(bin_dir)
  if [ -e "$to/meshmac" ]; then
    rm -f "$to/meshmac" || fail 77 "cannot remove $to/meshmac" "run this as the user who installed it"
    printf 'removed %s\n' "$to/meshmac"
  else
    printf 'no meshmac in %s\n' "$to"
  fi
  printf 'left alone: dist/, node_modules/, your configuration, secrets and state folders, and %s\n' \
    "${XDG_CACHE_HOME:-${HOME:-$root}/.cache}/meshmac (the Bun this script fetched)"
}

no_more() { [ $# -eq 0 ] || fail 64 "unexpected argument \"$1\"" "./install.sh --help lists what it takes"; }

[ $# -gt 0 ] || set -- --install
option=$1
shift
case $option in
  --target)
    [ $# -gt 0 ] || fail 64 "--target needs a value" "one of bun-darwin-arm64, bun-linux-x64, bun-linux-arm64"
    target=$1
    shift
    ;;
  --target=*)
    target=${option#--target=}
    option=--target
    ;;
esac
no_more "$@"

trust_the_system
case $option in
  --install) install_here ;;
  --build) build_here ;;
  --target) build_for "$target" ;;
  --uninstall) uninstall ;;
  --tools)
    need_bun
    printf '%s\n' "$bun"
    ;;
  --pin) pin ;;
  --help | -h) usage ;;
  *) fail 64 "unknown option \"$option\"" "./install.sh --help lists what it takes" ;;
esac
