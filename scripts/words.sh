#!/usr/bin/env bash
# Finds the words of scripts/words.txt in code, texts and docs, and counts comments that begin with a question word.
set -euo pipefail
cd "$(dirname "$0")/.."

# A comment begins with a verb in the third person or a noun phrase; this many of src may begin otherwise.
MAX_QUESTIONS=60

files=$(git ls-files -co --exclude-standard -- src tests benches docs charts scripts README.md CONTRIBUTING.md CHANGELOG.md Makefile |
  grep -vE '^scripts/words\.|^tests/fixtures/|\.(svg|png|json|lock|tgz)$')
status=0

while IFS= read -r line; do
  [[ -z $line || $line == '#'* ]] && continue
  pattern=${line%% :: *}
  rest=${line#* :: }
  advice=${rest%% :: *}
  where=.
  [[ $rest == *' :: '* ]] && where=${rest#* :: }
  # A word ends where a capital letter begins the next one, or where an underscore does.
  whole="(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:$pattern)(?![a-z]|(?<=[A-Z])[A-Z])"
  hits=$(grep -P -- "$where" <<<"$files" | xargs -r -d '\n' grep -nHP -- "$whole" || true)
  if [[ -n $hits ]]; then
    status=1
    printf '\n%s: say instead: %s\n%s\n' "$pattern" "$advice" "$(cut -c 1-200 <<<"$hits")"
  fi
done <scripts/words.txt

question='^\s*//[/!]? (What|How|Whether|Who|Whom|Whose|Whoever|Those|Has|One that)\b'
questions=$(grep '^src/.*\.rs$' <<<"$files" | xargs -d '\n' cat | grep -cP -- "$question" || true)
printf '\n%s comment lines of src begin with a question word; fewer than %s may\n' "$questions" "$MAX_QUESTIONS"
if [ "$questions" -ge "$MAX_QUESTIONS" ]; then
  status=1
  grep '^src/.*\.rs$' <<<"$files" | xargs -d '\n' grep -nHP -- "$question"
fi
exit "$status"
