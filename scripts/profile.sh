#!/usr/bin/env bash
# Draws flame graphs of the operator's processor time during a bulk apply of N tenants (1000) and during a restart.
# Writes target/profile/{bulk,restart}.svg (flame graphs) and .txt (the largest costs); UPDATE=1 copies the drawings to
# docs/performance. inferno, which draws them, is built once into RUNTIME_OPERATOR_CACHE (by default ~/.cache/runtime-operator).
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/profile
cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}/cargo-tools
export PATH=$cache/bin:$PATH

tools/install.sh profile
perf=$PWD/tools/bin/perf
# Checked before the long build.
if ! why=$("$perf" record --quiet --event cpu-clock --output /dev/null -- true 2>&1); then
  printf '%s\n\n' "$why" >&2
  echo "profile: perf may not record here. Run it as root or after \`sysctl kernel.perf_event_paranoid=2\`; in a container," >&2
  echo "profile: give it CAP_PERFMON and a seccomp profile that allows perf_event_open." >&2
  exit 1
fi
if ! command -v inferno-flamegraph >/dev/null; then
  echo "profile: building inferno (once, about a minute) ..." >&2
  cargo install --quiet --locked --root "$cache" inferno@0.12.8
fi

rm -rf "$out"
mkdir -p "$out"

# still TITLE: draws a picture without scripts, for a page: without the frames that start a task, and those that only pass on.
still() {
  perl -pe 's/^.*;tokio::runtime::task::(harness::Harness<T,S>|raw)::poll(;tokio::runtime::task::core::Core<T,S>::poll)?;/task;/;
    s/^.*;(tokio::runtime::scheduler::multi_thread::worker::Context::park)/no task;$1/;
    s/;<*&?(mut )?(core|alloc|std|futures_util|tracing)::[^;]*(?=;)//g; s/::\{\{closure\}\}//g; s/runtime_operator::/our /g' |
    inferno-flamegraph --quiet --deterministic --countname ns --title "$1" --width 1200 --minwidth 0.5 \
      --bgcolors "#ffffff" --fontwidth 0.62 --truncate-text-right --no-javascript |
    perl -0pe 's|<script.*?</script>||s; s| onload="init\(evt\)"||; s|<!--.*?-->||gs; s| fg:[xw]="\d+"||g;
      s|<text id="(details\|unzoom\|search\|matched)".*?</text>||g'
}

PROFILE=$out ROWS=bulk,restart UPDATE='' cargo bench --locked --profile profiling --bench operator

for what in bulk restart; do
  for data in "$out/$what"*.data; do
    "$perf" script --input "$data" --no-inline 2>/dev/null | inferno-collapse-perf --quiet --kernel
    rm "$data"
  done >"$out/$what.folded"
  [ -s "$out/$what.folded" ] || { echo "profile: nothing was recorded of $what" >&2; exit 1; }
  title="Processor time of the operator: $([ "$what" = bulk ] && echo "bulk apply" || echo "restart, nothing changed")"
  inferno-flamegraph --quiet --deterministic --countname ns --title "$title" "$out/$what.folded" >"$out/$what.svg"
  scripts/profile-table.py "$title" "$out/$what.folded" | tee "$out/$what.txt"
  if [ -n "${UPDATE:-}" ]; then still "$title" <"$out/$what.folded" >"docs/performance/flame-$what.svg"; fi
done
rm -f "$out"/*.control "$out"/*.answers
echo "profile: $out/bulk.svg and $out/restart.svg are for a browser"
