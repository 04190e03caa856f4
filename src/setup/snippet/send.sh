sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
  { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused {{project}}` does, on its host' >&2; }
curl "$fail" {{options}} \
  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
  -H 'Content-Type: application/json' -H 'Accept: text/plain' \
  -d "$body" "$WINDLASS_URL/v1/hooks/{{project}}{{query}}" | {
  end=1   # only these words are success: some proxies hide from curl that an answer was broken off
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in '{{success}}'*) end=0 ;; esac
  done
  exit "$end"
}
