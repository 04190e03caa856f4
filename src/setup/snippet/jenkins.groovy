// A stage of the Jenkinsfile. Credential of kind `Secret text` with the id windlass-key-hex.
stage('{{Verb}} {{project}}') {
  environment { WINDLASS_URL = '{{url}}' }
  steps {
    withCredentials([string(credentialsId: 'windlass-key-hex', variable: 'WINDLASS_KEY_HEX')]) {
      sh '''
        set +x
        set -eu
        {{check}}
        IMAGE="{{image}}:$GIT_COMMIT"   # what this build has pushed
        # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
        id=$(printf %s "$BUILD_TAG{{suffix}}" | tr -c 'A-Za-z0-9_-' '-')
        ts=$(date +%s)
        body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"{{ask}}}' "$IMAGE" "$GIT_COMMIT" \\
          "$BUILD_URL")
        {{send}}
      '''
    }
  }
}
