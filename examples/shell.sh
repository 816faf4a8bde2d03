#!/usr/bin/env bash
# Runs the commands of docs/other-languages.md as they stand there (buf curl), and checks what they print.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
broker=${MILLRACE_BROKERS:-127.0.0.1:7400}
passed=0
failed=0

# Also those that are to fail; the brokers run already.
page=$(sed -n '/^```sh\( fails.*\)\{0,1\}$/,/^```$/p' docs/other-languages.md | grep -v -e '^```' -e '^npm start$')
printed=$(bash -O expand_aliases -c "${page//127.0.0.1:7400/${broker%%,*}}" 2>&1 </dev/null)

# expect WHAT TIMES TEXT: the commands printed the text that often.
expect() {
  local times
  times=$(grep -cF -- "$3" <<<"$printed")
  if [[ $times -eq $2 ]]; then
    passed=$((passed + 1))
    echo "ok    $1"
  else
    failed=$((failed + 1))
    echo "FAIL  $1: '$3' is printed $times times, not $2"
  fi
}

expect "a topic is made" 1 '"topicId"'
expect "three batches are acknowledged" 3 '"durableBrokerIds"'
expect "the one sent again is a duplicate" 1 '"duplicate": true'
expect "a fetch and a subscription bring the key" 2 '"key": "dXNlci0x"'
expect "and the record sent twice once each" 2 '"value": "b25jZQ=="'
expect "a read beyond the end is refused" 1 '"code": "out_of_range"'
expect "and its details name the reason" 1 '"reason":"OFFSET_OUT_OF_RANGE"'

if [[ $failed -gt 0 ]]; then echo "$printed"; fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
