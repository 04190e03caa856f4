//! What is pasted into CI: a few lines of shell that sign the hook, stream what happens, and fail with the deployment.
//!
//! Nothing of ours is needed there: sh, openssl and curl. What a build may choose freely, such as the name of a branch,
//! is not put into the JSON, because a shell cannot quote it.

use std::time::Duration;

use crate::model::{ProjectName, Repository};

/// Where the hook is sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ci {
    /// Wherever there are sh, openssl and curl.
    Shell,
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// CircleCI.
    Circleci,
    /// Jenkins, in a declarative pipeline.
    Jenkins,
    /// TeamCity, in a command line step.
    Teamcity,
}

/// What a snippet is about.
#[derive(Debug)]
pub(super) struct Hook<'a> {
    pub(super) project: &'a ProjectName,
    /// The first of the project's; a project always has one.
    pub(super) image: Option<&'a Repository>,
    pub(super) url: &'a str,
    /// How the key is shown as hex digits.
    pub(super) key_hex: &'a str,
    pub(super) timeout: Duration,
}

impl Hook<'_> {
    fn image(&self) -> String {
        self.image.map(ToString::to_string).unwrap_or_default()
    }
}

/// How one CI says what all of them know.
struct Build {
    tag: &'static str,
    commit: &'static str,
    run_url: &'static str,
    /// Lines that set `id`.
    id: &'static str,
}

impl Ci {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Shell, Self::Github, Self::Gitlab, Self::Circleci, Self::Jenkins, Self::Teamcity];

    /// What its users call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Shell => "Any shell",
            Self::Github => "GitHub Actions",
            Self::Gitlab => "GitLab CI",
            Self::Circleci => "CircleCI",
            Self::Jenkins => "Jenkins",
            Self::Teamcity => "TeamCity",
        }
    }

    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Circleci => "circleci",
            Self::Jenkins => "jenkins",
            Self::Teamcity => "teamcity",
        }
    }

    /// What to paste.
    pub(super) fn snippet(self, hook: &Hook<'_>) -> String {
        match self {
            Self::Shell => shell(hook),
            Self::Github => github(hook),
            Self::Gitlab => gitlab(hook),
            Self::Circleci => circleci(hook),
            Self::Jenkins => jenkins(hook),
            Self::Teamcity => teamcity(hook),
        }
    }
}

/// The key without blanks and line ends, if it is hex digits. openssl would print any other in its error.
fn check(key: &str) -> String {
    format!(
        "WINDLASS_KEY_HEX=$({key} | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{{2}}){{16,}}') ||\n  \
         {{ echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }}\n"
    )
}

/// In parentheses, for a shell that somebody sits at: it must not end with the lines.
fn shell(hook: &Hook<'_>) -> String {
    format!(
        "(\nWINDLASS_URL='{url}'\nIMAGE={image}:TAG   # the one to deploy\n{check}\
         id=$(openssl rand -hex 16); ts=$(date +%s); body=\"{{\\\"image\\\":\\\"$IMAGE\\\"}}\"\n{send})\n",
        url = hook.url,
        check = check(hook.key_hex),
        image = hook.image(),
        send = send(hook, ""),
    )
}

/// Signs `$body` as the delivery `$id` and streams what becomes of it.
fn send(hook: &Hook<'_>, retry: &str) -> String {
    format!(
        r#"sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
curl -fsSN {retry}\
  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
  -H 'Content-Type: application/json' -H 'Accept: text/plain' \
  -d "$body" "$WINDLASS_URL/v1/hooks/{project}?wait={wait}"
"#,
        project = hook.project,
        wait = humantime::format_duration(hook.timeout).to_string().replace(' ', ""),
    )
}

/// The lines that every CI runs.
fn script(hook: &Hook<'_>, build: &Build) -> String {
    let Build { tag, commit, run_url, id } = build;
    format!(
        r#"set -eu
{check}IMAGE="{image}:{tag}"   # what this build has pushed
# One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
{id}
ts=$(date +%s)
body=$(printf '{{"image":"%s","commit":"%s","run_url":"%s"}}' "$IMAGE" "{commit}" \
  "{run_url}")
{send}"#,
        check = check(r#"printf %s "${WINDLASS_KEY_HEX-}""#),
        image = hook.image(),
        // A windlass that is being started anew is called again.
        send = send(hook, "--retry 3 --retry-connrefused "),
    )
}

fn github(hook: &Hook<'_>) -> String {
    let script = script(
        hook,
        &Build {
            tag: "$GITHUB_SHA",
            commit: "$GITHUB_SHA",
            run_url: "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID",
            id: r#"id="$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB""#,
        },
    );
    format!(
        "# A job of .github/workflows/*.yml. Secret WINDLASS_KEY_HEX: Settings > Secrets and variables > Actions.\n\
         deploy-{project}:\n  needs: build   # the job that pushes the image\n  runs-on: ubuntu-latest\n  steps:\n    \
         - name: Deploy {project}\n      env:\n        WINDLASS_URL: {url}\n        \
         WINDLASS_KEY_HEX: ${{{{ secrets.WINDLASS_KEY_HEX }}}}\n      run: |\n{script}",
        project = hook.project,
        url = hook.url,
        script = indent(&script, 8),
    )
}

fn gitlab(hook: &Hook<'_>) -> String {
    let script = script(
        hook,
        &Build {
            tag: "$CI_COMMIT_SHA",
            commit: "$CI_COMMIT_SHA",
            run_url: "$CI_JOB_URL",
            id: r#"id="gitlab-$CI_JOB_ID""#,
        },
    );
    format!(
        "# A job of .gitlab-ci.yml. Variable WINDLASS_KEY_HEX, masked and protected: Settings > CI/CD > Variables.\n\
         deploy-{project}:\n  stage: deploy\n  image: alpine:3\n  before_script: [apk add --no-cache curl openssl]\n  \
         variables:\n    WINDLASS_URL: {url}\n  script:\n    - |\n{script}",
        project = hook.project,
        url = hook.url,
        script = indent(&script, 6),
    )
}

fn circleci(hook: &Hook<'_>) -> String {
    let script = script(
        hook,
        &Build {
            tag: "$CIRCLE_SHA1",
            commit: "$CIRCLE_SHA1",
            run_url: "$CIRCLE_BUILD_URL",
            id: r#"id="circleci-$CIRCLE_WORKFLOW_JOB_ID""#,
        },
    );
    format!(
        "# A job of .circleci/config.yml. Variable WINDLASS_KEY_HEX: Project Settings > Environment Variables.\n\
         deploy-{project}:\n  docker:\n    - image: cimg/base:current\n  environment:\n    WINDLASS_URL: {url}\n  \
         steps:\n    - run:\n        name: Deploy {project}\n        command: |\n{script}",
        project = hook.project,
        url = hook.url,
        script = indent(&script, 10),
    )
}

fn jenkins(hook: &Hook<'_>) -> String {
    let script = script(
        hook,
        &Build {
            tag: "$GIT_COMMIT",
            commit: "$GIT_COMMIT",
            run_url: "$BUILD_URL",
            // The name of a job may have characters that an id has not.
            id: r#"id=$(printf %s "$BUILD_TAG" | tr -c 'A-Za-z0-9_-' '-')"#,
        },
    );
    // Jenkins shows each command; and to Groovy a backslash is the beginning of something.
    let script = format!("set +x\n{script}").replace('\\', "\\\\");
    format!(
        "// A stage of the Jenkinsfile. Credential of kind `Secret text` with the id windlass-key-hex.\n\
         stage('Deploy {project}') {{\n  environment {{ WINDLASS_URL = '{url}' }}\n  steps {{\n    \
         withCredentials([string(credentialsId: 'windlass-key-hex', variable: 'WINDLASS_KEY_HEX')]) {{\n      \
         sh '''\n{script}      '''\n    }}\n  }}\n}}\n",
        project = hook.project,
        url = hook.url,
        script = indent(&script, 8),
    )
}

fn teamcity(hook: &Hook<'_>) -> String {
    let script = script(
        hook,
        &Build {
            tag: "$BUILD_VCS_NUMBER",
            commit: "$BUILD_VCS_NUMBER",
            run_url: "@SERVER@/build/@BUILD@",
            id: "id=\"teamcity-@BUILD@\"",
        },
    );
    // In a build step `%` names a parameter, and is doubled where it is meant as it is.
    let script =
        script.replace('%', "%%").replace("@SERVER@", "%teamcity.serverUrl%").replace("@BUILD@", "%teamcity.build.id%");
    format!(
        "# A build step `Command Line`, custom script. Parameter env.WINDLASS_KEY_HEX of type Password.\n\
         WINDLASS_URL='{url}'\n{script}",
        url = hook.url,
    )
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(ci: Ci) -> String {
        ci.snippet(&Hook {
            project: &"shop".parse().unwrap(),
            image: Some(&"ghcr.io/acme/shop-api".parse().unwrap()),
            url: "https://deploy.example.com",
            key_hex: "sudo windlass key hex /etc/windlass/keys/shop-ci.key",
            timeout: Duration::from_secs(90 * 60),
        })
    }

    #[test]
    fn a_shell_needs_nothing_but_openssl_and_curl() {
        insta::assert_snapshot!(snippet(Ci::Shell), @r#"
        (
        WINDLASS_URL='https://deploy.example.com'
        IMAGE=ghcr.io/acme/shop-api:TAG   # the one to deploy
        WINDLASS_KEY_HEX=$(sudo windlass key hex /etc/windlass/keys/shop-ci.key | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
          { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
        id=$(openssl rand -hex 16); ts=$(date +%s); body="{\"image\":\"$IMAGE\"}"
        sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
          openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
        curl -fsSN \
          -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
          -H 'Content-Type: application/json' -H 'Accept: text/plain' \
          -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
        )
        "#);
    }

    #[test]
    fn github_runs_it_as_a_step_and_a_run_again_is_a_new_delivery() {
        insta::assert_snapshot!(snippet(Ci::Github), @r#"
        # A job of .github/workflows/*.yml. Secret WINDLASS_KEY_HEX: Settings > Secrets and variables > Actions.
        deploy-shop:
          needs: build   # the job that pushes the image
          runs-on: ubuntu-latest
          steps:
            - name: Deploy shop
              env:
                WINDLASS_URL: https://deploy.example.com
                WINDLASS_KEY_HEX: ${{ secrets.WINDLASS_KEY_HEX }}
              run: |
                set -eu
                WINDLASS_KEY_HEX=$(printf %s "${WINDLASS_KEY_HEX-}" | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
                  { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
                IMAGE="ghcr.io/acme/shop-api:$GITHUB_SHA"   # what this build has pushed
                # One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
                id="$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB"
                ts=$(date +%s)
                body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$GITHUB_SHA" \
                  "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID")
                sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                curl -fsSN --retry 3 --retry-connrefused \
                  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                  -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                  -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
        "#);
    }

    #[test]
    fn gitlab_runs_it_as_a_script() {
        insta::assert_snapshot!(snippet(Ci::Gitlab), @r#"
        # A job of .gitlab-ci.yml. Variable WINDLASS_KEY_HEX, masked and protected: Settings > CI/CD > Variables.
        deploy-shop:
          stage: deploy
          image: alpine:3
          before_script: [apk add --no-cache curl openssl]
          variables:
            WINDLASS_URL: https://deploy.example.com
          script:
            - |
              set -eu
              WINDLASS_KEY_HEX=$(printf %s "${WINDLASS_KEY_HEX-}" | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
                { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
              IMAGE="ghcr.io/acme/shop-api:$CI_COMMIT_SHA"   # what this build has pushed
              # One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
              id="gitlab-$CI_JOB_ID"
              ts=$(date +%s)
              body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$CI_COMMIT_SHA" \
                "$CI_JOB_URL")
              sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
              curl -fsSN --retry 3 --retry-connrefused \
                -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
        "#);
    }

    #[test]
    fn circleci_runs_it_as_a_command() {
        insta::assert_snapshot!(snippet(Ci::Circleci), @r#"
        # A job of .circleci/config.yml. Variable WINDLASS_KEY_HEX: Project Settings > Environment Variables.
        deploy-shop:
          docker:
            - image: cimg/base:current
          environment:
            WINDLASS_URL: https://deploy.example.com
          steps:
            - run:
                name: Deploy shop
                command: |
                  set -eu
                  WINDLASS_KEY_HEX=$(printf %s "${WINDLASS_KEY_HEX-}" | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
                    { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
                  IMAGE="ghcr.io/acme/shop-api:$CIRCLE_SHA1"   # what this build has pushed
                  # One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
                  id="circleci-$CIRCLE_WORKFLOW_JOB_ID"
                  ts=$(date +%s)
                  body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$CIRCLE_SHA1" \
                    "$CIRCLE_BUILD_URL")
                  sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                  curl -fsSN --retry 3 --retry-connrefused \
                    -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                    -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                    -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
        "#);
    }

    #[test]
    fn jenkins_shows_no_command_and_keeps_every_backslash() {
        insta::assert_snapshot!(snippet(Ci::Jenkins), @r#"
        // A stage of the Jenkinsfile. Credential of kind `Secret text` with the id windlass-key-hex.
        stage('Deploy shop') {
          environment { WINDLASS_URL = 'https://deploy.example.com' }
          steps {
            withCredentials([string(credentialsId: 'windlass-key-hex', variable: 'WINDLASS_KEY_HEX')]) {
              sh '''
                set +x
                set -eu
                WINDLASS_KEY_HEX=$(printf %s "${WINDLASS_KEY_HEX-}" | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
                  { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
                IMAGE="ghcr.io/acme/shop-api:$GIT_COMMIT"   # what this build has pushed
                # One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
                id=$(printf %s "$BUILD_TAG" | tr -c 'A-Za-z0-9_-' '-')
                ts=$(date +%s)
                body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$GIT_COMMIT" \\
                  "$BUILD_URL")
                sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                curl -fsSN --retry 3 --retry-connrefused \\
                  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \\
                  -H 'Content-Type: application/json' -H 'Accept: text/plain' \\
                  -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
              '''
            }
          }
        }
        "#);
    }

    #[test]
    fn teamcity_takes_no_percent_sign_for_a_parameter() {
        insta::assert_snapshot!(snippet(Ci::Teamcity), @r#"
        # A build step `Command Line`, custom script. Parameter env.WINDLASS_KEY_HEX of type Password.
        WINDLASS_URL='https://deploy.example.com'
        set -eu
        WINDLASS_KEY_HEX=$(printf %%s "${WINDLASS_KEY_HEX-}" | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
          { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
        IMAGE="ghcr.io/acme/shop-api:$BUILD_VCS_NUMBER"   # what this build has pushed
        # One id for one attempt of one job: sent again it joins its deployment, and never starts a second one.
        id="teamcity-%teamcity.build.id%"
        ts=$(date +%%s)
        body=$(printf '{"image":"%%s","commit":"%%s","run_url":"%%s"}' "$IMAGE" "$BUILD_VCS_NUMBER" \
          "%teamcity.serverUrl%/build/%teamcity.build.id%")
        sig=$(printf '%%s.%%s.%%s' "$id" "$ts" "$body" |
          openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
        curl -fsSN --retry 3 --retry-connrefused \
          -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
          -H 'Content-Type: application/json' -H 'Accept: text/plain' \
          -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m"
        "#);
    }
}
