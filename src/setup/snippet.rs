//! What is pasted into CI: a few lines of shell that sign the hook, stream what happens, and fail with the deployment.
//!
//! Nothing of ours is needed there: sh, openssl and curl. What a build may choose freely, such as the name of a branch,
//! is not put into the JSON, because a shell cannot quote it.
//!
//! Each CI has a file in `snippet`, with what is peculiar to it as it wants it written. It names by `{{markers}}` what
//! differs from project to project, and what all have in common: `check.sh` and `send.sh`.

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
    /// What is asked for.
    pub(super) purpose: Purpose,
}

/// What a snippet asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A deployment.
    Deploy,
    /// What a deployment would do, such as for a pull request.
    Plan,
}

/// Leaves in `WINDLASS_KEY_HEX` the key without blanks and line ends, if it is hex digits. openssl would print any other
/// in its error.
const CHECK: &str = include_str!("snippet/check.sh");
/// Signs `$body` as the delivery `$id` and streams what becomes of it.
const SEND: &str = include_str!("snippet/send.sh");

impl Ci {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Shell, Self::Github, Self::Gitlab, Self::Circleci, Self::Jenkins, Self::Teamcity];

    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        self.row().0
    }

    /// What its users call it.
    pub(crate) const fn title(self) -> &'static str {
        self.row().1
    }

    /// Its name, its title, and what is pasted there.
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            // In parentheses, because somebody sits at it: it must not end with the lines.
            Self::Shell => ("shell", "Any shell", include_str!("snippet/shell.sh")),
            Self::Github => ("github", "GitHub Actions", include_str!("snippet/github.yml")),
            Self::Gitlab => ("gitlab", "GitLab CI", include_str!("snippet/gitlab.yml")),
            Self::Circleci => ("circleci", "CircleCI", include_str!("snippet/circleci.yml")),
            // It shows each command unless told not to, and the name of a job may have characters that an id has not.
            Self::Jenkins => ("jenkins", "Jenkins", include_str!("snippet/jenkins.groovy")),
            Self::Teamcity => ("teamcity", "TeamCity", include_str!("snippet/teamcity.sh")),
        }
    }

    /// `text` as it is written there.
    fn escaped(self, text: &str) -> String {
        match self {
            // To Groovy a backslash is the beginning of something.
            Self::Jenkins => text.replace('\\', "\\\\"),
            // In a build step `%` names a parameter, and is doubled where it is meant as it is.
            Self::Teamcity => text.replace('%', "%%"),
            Self::Shell | Self::Github | Self::Gitlab | Self::Circleci => text.to_owned(),
        }
    }

    /// What to paste.
    pub(super) fn snippet(self, hook: &Hook<'_>) -> String {
        let (_, _, template) = self.row();
        let (key, options) = match self {
            Self::Shell => (hook.key_hex, "-sSN"),
            // A windlass that is being started anew is called again.
            _ => (r#"printf %s "${WINDLASS_KEY_HEX-}""#, "-sSN --retry 3 --retry-connrefused"),
        };
        let (verb, title, ask, suffix, query, success) = match hook.purpose {
            Purpose::Deploy => {
                let wait = humantime::format_duration(hook.timeout).to_string().replace(' ', "");
                ("deploy", "Deploy", "", "", format!("?wait={wait}"), "succeeded ")
            }
            Purpose::Plan => ("plan", "Plan", r#","dry_run":true"#, "-plan", String::new(), "nothing was changed"),
        };
        let project = hook.project.as_str();
        let send = [
            ("options", options.to_owned()),
            ("project", project.to_owned()),
            ("query", query),
            ("success", success.to_owned()),
        ];
        let values = [
            ("project", project.to_owned()),
            ("verb", verb.to_owned()),
            ("Verb", title.to_owned()),
            ("ask", ask.to_owned()),
            ("suffix", suffix.to_owned()),
            ("image", hook.image.map(ToString::to_string).unwrap_or_default()),
            ("url", hook.url.to_owned()),
            ("check", filled(CHECK, &[("key", key.to_owned())])),
            ("send", filled(SEND, &send)),
        ];
        filled(template, &values.map(|(marker, value)| (marker, self.escaped(&value))))
    }
}

/// `template` with the values of its `{{markers}}`. One of several lines is indented as its marker is.
fn filled(template: &str, values: &[(&str, String)]) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        text += before;
        let marker = after.split_once("}}");
        let value = marker.and_then(|(name, after)| Some((values.iter().find(|(known, _)| *known == name)?, after)));
        match value {
            Some(((_, value), after)) => {
                let line = text.rsplit('\n').next().unwrap_or_default();
                let indent: String = line.chars().take_while(|c| *c == ' ').collect();
                text += &value.trim_end_matches('\n').replace('\n', &format!("\n{indent}"));
                rest = after;
            }
            // Some CI's own, such as `${{ secrets.NAME }}`.
            None => {
                text += "{{";
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(ci: Ci) -> String {
        snippet_for(ci, "https://deploy.example.com")
    }

    fn snippet_for(ci: Ci, url: &str) -> String {
        ci.snippet(&Hook {
            project: &"shop".parse().unwrap(),
            image: Some(&"ghcr.io/acme/shop-api".parse().unwrap()),
            url,
            key_hex: "sudo windlass key hex /etc/windlass/keys/shop-ci.key",
            timeout: Duration::from_secs(90 * 60),
            purpose: Purpose::Deploy,
        })
    }

    #[test]
    fn every_marker_is_filled_and_every_file_marks_what_differs() {
        for ci in Ci::ALL {
            let text = snippet(ci);
            // What GitHub calls an expression begins with a blank.
            let left: Vec<&str> = text.split("{{").skip(1).filter(|after| !after.starts_with(' ')).collect();
            assert!(left.is_empty(), "{ci:?}: {left:?}");
            for marker in ["{{url}}", "{{image}}", "{{check}}", "{{send}}"] {
                assert_eq!(ci.row().2.matches(marker).count(), 1, "{ci:?}: {marker}");
            }
        }
    }

    #[test]
    fn a_value_is_indented_as_its_marker_and_nothing_in_it_is_a_marker() {
        let values = [("a", "1\n2\n".to_owned()), ("b", "{{a}}".to_owned())];
        assert_eq!(filled("x\n  {{a}}\n{{b}} ${{ c }} {{a", &values), "x\n  1\n  2\n{{a}} ${{ c }} {{a");
    }

    #[test]
    fn a_shell_needs_nothing_but_openssl_and_curl() {
        insta::assert_snapshot!(snippet(Ci::Shell), @r#"
        (
        WINDLASS_URL='https://deploy.example.com'
        IMAGE=ghcr.io/acme/shop-api:TAG   # the one to deploy
        WINDLASS_KEY_HEX=$(sudo windlass key hex /etc/windlass/keys/shop-ci.key | tr -d '[:space:]' | grep -Ex '([0-9a-fA-F]{2}){16,}') ||
          { echo 'WINDLASS_KEY_HEX is not a key in hex digits, as `windlass key hex FILE` prints it' >&2; exit 1; }
        id=$(openssl rand -hex 16); ts=$(date +%s); body=$(printf '{"image":"%s"}' "$IMAGE")
        sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
          openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
        fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
          { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
        curl "$fail" -sSN \
          -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
          -H 'Content-Type: application/json' -H 'Accept: text/plain' \
          -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
          end=1   # only these words are success: some proxies hide from curl that an answer was broken off
          while IFS= read -r line; do
            printf '%s\n' "$line"
            case $line in 'succeeded '*) end=0 ;; esac
          done
          exit "$end"
        }
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
                # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
                id="$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB"
                ts=$(date +%s)
                body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$GITHUB_SHA" \
                  "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID")
                sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
                  { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
                curl "$fail" -sSN --retry 3 --retry-connrefused \
                  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                  -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                  -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
                  end=1   # only these words are success: some proxies hide from curl that an answer was broken off
                  while IFS= read -r line; do
                    printf '%s\n' "$line"
                    case $line in 'succeeded '*) end=0 ;; esac
                  done
                  exit "$end"
                }
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
              # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
              id="gitlab-$CI_JOB_ID"
              ts=$(date +%s)
              body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$CI_COMMIT_SHA" \
                "$CI_JOB_URL")
              sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
              fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
                { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
              curl "$fail" -sSN --retry 3 --retry-connrefused \
                -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
                end=1   # only these words are success: some proxies hide from curl that an answer was broken off
                while IFS= read -r line; do
                  printf '%s\n' "$line"
                  case $line in 'succeeded '*) end=0 ;; esac
                done
                exit "$end"
              }
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
                  # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
                  id="circleci-$CIRCLE_WORKFLOW_JOB_ID"
                  ts=$(date +%s)
                  body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$CIRCLE_SHA1" \
                    "$CIRCLE_BUILD_URL")
                  sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                  fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
                    { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
                  curl "$fail" -sSN --retry 3 --retry-connrefused \
                    -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
                    -H 'Content-Type: application/json' -H 'Accept: text/plain' \
                    -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
                    end=1   # only these words are success: some proxies hide from curl that an answer was broken off
                    while IFS= read -r line; do
                      printf '%s\n' "$line"
                      case $line in 'succeeded '*) end=0 ;; esac
                    done
                    exit "$end"
                  }
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
                # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
                id=$(printf %s "$BUILD_TAG" | tr -c 'A-Za-z0-9_-' '-')
                ts=$(date +%s)
                body=$(printf '{"image":"%s","commit":"%s","run_url":"%s"}' "$IMAGE" "$GIT_COMMIT" \\
                  "$BUILD_URL")
                sig=$(printf '%s.%s.%s' "$id" "$ts" "$body" |
                  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
                fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
                  { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
                curl "$fail" -sSN --retry 3 --retry-connrefused \\
                  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \\
                  -H 'Content-Type: application/json' -H 'Accept: text/plain' \\
                  -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
                  end=1   # only these words are success: some proxies hide from curl that an answer was broken off
                  while IFS= read -r line; do
                    printf '%s\\n' "$line"
                    case $line in 'succeeded '*) end=0 ;; esac
                  done
                  exit "$end"
                }
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
        # One id for one attempt of one job: sent again it joins what it began, and begins nothing twice.
        id="teamcity-%teamcity.build.id%"
        ts=$(date +%%s)
        body=$(printf '{"image":"%%s","commit":"%%s","run_url":"%%s"}' "$IMAGE" "$BUILD_VCS_NUMBER" \
          "%teamcity.serverUrl%/build/%teamcity.build.id%")
        sig=$(printf '%%s.%%s.%%s' "$id" "$ts" "$body" |
          openssl dgst -sha256 -mac HMAC -macopt "hexkey:$WINDLASS_KEY_HEX" -binary | openssl base64 -A)
        fail=$(curl --help all 2>/dev/null | grep -oe --fail-with-body) ||
          { fail=--fail; echo 'curl is older than 7.76 and cannot show why windlass refuses: `windlass refused shop` does, on its host' >&2; }
        curl "$fail" -sSN --retry 3 --retry-connrefused \
          -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
          -H 'Content-Type: application/json' -H 'Accept: text/plain' \
          -d "$body" "$WINDLASS_URL/v1/hooks/shop?wait=1h30m" | {
          end=1   # only these words are success: some proxies hide from curl that an answer was broken off
          while IFS= read -r line; do
            printf '%%s\n' "$line"
            case $line in 'succeeded '*) end=0 ;; esac
          done
          exit "$end"
        }
        "#);
        assert!(
            snippet_for(Ci::Teamcity, "https://example.com/a%20b")
                .contains("WINDLASS_URL='https://example.com/a%%20b'")
        );
    }
}
