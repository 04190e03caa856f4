sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
curl {{options}} \
  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
  -H 'Content-Type: application/json' -H 'Accept: text/plain' \
  -d "$body" "$WINDLASS_URL/v1/hooks/{{project}}?wait={{wait}}"
