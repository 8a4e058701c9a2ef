#!/usr/bin/env bash
# Runs every fuzz target for some seconds (the first argument, 10 unless said) on the stable toolchain, beginning from
# the fixtures. Fails when a target fails, or when one did not run at all. Other arguments name the targets to run.
#
# A run can be repeated: FUZZ_SEED (1 unless said) decides what is tried, the seconds only how much of it.
#
# Needs a C++ compiler for libFuzzer itself; without one this says so and does nothing, or fails when FUZZ_REQUIRED is
# set, as the workflow does.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-10}"
shift || true
if ! command -v "${CXX:-c++}" >/dev/null; then
  echo "fuzz: no C++ compiler, so libFuzzer cannot be built; nothing was fuzzed"
  [[ -z "${FUZZ_REQUIRED:-}" ]] || exit 1
  exit 0
fi

# The same versions as everything else is tested with; cargo adds libFuzzer's own.
cp ../Cargo.lock Cargo.lock
target_dir="${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}"
RUSTC_WRAPPER="$PWD/instrument.sh" CARGO_TARGET_DIR="$target_dir" cargo build --bins

fixtures=../tests/fixtures
declare -A seeds=(
  [frame_decode]="$fixtures/wire/client $fixtures/wire/server $fixtures/wire/asked/2026-04 $fixtures/wire/asked/latest"
  [ballots]="$fixtures/wire/client"
  [match_inputs]="seeds/match_inputs"
  [config]="$fixtures/config"
  [guard]="seeds/guard"
  [importers]="$fixtures/elections seeds/importers"
)
names=("$@")
[[ ${#names[@]} -gt 0 ]] || mapfile -t names < <(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | tail -n +2)

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for name in "${names[@]}"; do
  mkdir -p "$work/$name" artifacts
  seed_dirs=()
  for dir in ${seeds[$name]:-}; do [[ -d "$dir" ]] && seed_dirs+=("$dir"); done
  log="$work/$name.log"
  if ! "$target_dir/debug/$name" -seed="${FUZZ_SEED:-1}" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="artifacts/$name-" "$work/$name" "${seed_dirs[@]}" >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "fuzz: $name failed; what it choked on is in fuzz/artifacts"
    exit 1
  fi
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  if [[ "${runs:-0}" -eq 0 ]]; then
    tail -n 20 "$log"
    echo "fuzz: $name did not run"
    exit 1
  fi
  echo "fuzz: $name: $runs runs in $seconds s, no fault"
done
