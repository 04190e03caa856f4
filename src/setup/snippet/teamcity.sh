# A build step `Command Line`, custom script. Parameter env.WINDLASS_KEY_HEX of type Password.
WINDLASS_URL='{{url}}'
set -eu
{{check}}
IMAGE="{{image}}:$BUILD_VCS_NUMBER"   # what this build has pushed
# One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
id="teamcity-%teamcity.build.id%{{suffix}}"
ts=$(date +%%s)
body=$(printf '{"image":"%%s","commit":"%%s","run_url":"%%s"{{ask}}}' "$IMAGE" "$BUILD_VCS_NUMBER" \
  "%teamcity.serverUrl%/build/%teamcity.build.id%")
{{send}}
