WINDLASS_KEY_HEX=$({{key}} | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
  { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
