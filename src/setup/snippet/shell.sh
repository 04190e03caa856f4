(
WINDLASS_URL='{{url}}'
IMAGE={{image}}:TAG   # the one to deploy
{{check}}
id=$(openssl rand -hex 16); ts=$(date +%s); body="{\"image\":\"$IMAGE\"}"
{{send}}
)
