(
WINDLASS_URL='{{url}}'
IMAGE={{image}}:TAG   # the one to {{verb}}
{{check}}
id=$(openssl rand -hex 16); ts=$(date +%s); body=$(printf '{"image":"%s"{{ask}}}' "$IMAGE")
{{send}}
)
