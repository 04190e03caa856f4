//! Which credentials this host has for a registry: from the configuration, else where `docker login` put them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::host::finding::Finding;
use crate::host::program::exec::{ExecError, Output, Run};
use crate::model::one_line;

/// How long a credential helper may take: some ask a cloud.
const HELPER: Duration = Duration::from_secs(20);
/// A credential is short; what is longer is none.
const LONGEST: usize = 64 * 1024;
/// What a helper says of its failure is cut after so many characters.
const LONGEST_REASON: usize = 500;
/// The user name by which helpers say that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A registry's password or token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Who this host is to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    /// The user name.
    pub username: String,
    /// The password or token.
    pub password: Password,
}

/// All that is known on this host.
#[derive(Debug)]
pub(in crate::host) struct CredentialStore {
    configured: RwLock<BTreeMap<String, RegistryCredentials>>,
    docker_config: PathBuf,
}

/// Who to be to a registry, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Login {
    /// There are no credentials, and what went wrong on the way to them, if anything did.
    Anonymous { trouble: Option<String> },
    /// A user with a password.
    User { username: String, password: Password, origin: String },
    /// An identity token that the registry exchanges.
    Token { token: Password, origin: String },
}

/// Docker's own file, as far as it is about credentials.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

impl Password {
    /// Keeps `text` from being printed.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to be sent to the registry it belongs to.
    fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl CredentialStore {
    /// `docker_config` is the directory that Docker's own `config.json` is in.
    pub(in crate::host) const fn new(
        configured: BTreeMap<String, RegistryCredentials>,
        docker_config: PathBuf,
    ) -> Self {
        Self { configured: RwLock::new(configured), docker_config }
    }

    /// Takes over credentials that were configured anew.
    pub(in crate::host) fn replace(&self, configured: BTreeMap<String, RegistryCredentials>) {
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured;
    }

    fn configured(&self, host: &str) -> Option<RegistryCredentials> {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    /// Who to be to `host`. Files and helpers are asked each time: cloud credentials live for hours only.
    pub(in crate::host) async fn login(&self, host: &str) -> Login {
        if let Some(RegistryCredentials { username, password }) = self.configured(host) {
            return Login::User { username, password, origin: "config.toml".to_owned() };
        }
        let file = self.docker_config.join("config.json");
        let text = match tokio::fs::read(&file).await {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Login::Anonymous { trouble: None },
            Err(error) => return Login::anonymous(format!("{} cannot be read: {error}", file.display())),
        };
        let config: DockerConfig = match serde_json::from_slice(&text) {
            Ok(config) => config,
            // The error's own text might quote a secret.
            Err(error) => return Login::anonymous(format!("{} is broken at line {}", file.display(), error.line())),
        };
        let mut login = Login::Anonymous { trouble: None };
        if let Some(helper) = config.helper(host) {
            login = ask_helper(helper, host, &file, &[]).await;
        }
        match (&login, config.entry(host)) {
            (Login::Anonymous { .. }, Some(entry)) => entry.login(&file).unwrap_or(login),
            _ => login,
        }
    }

    /// What keeps this host from having credentials for `registries`: a file that cannot be read, a helper that is missing
    /// or fails.
    pub(in crate::host) async fn survey(&self, registries: impl IntoIterator<Item = &str>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for host in registries {
            if let login @ Login::Anonymous { trouble: Some(_) } = self.login(host).await {
                findings.push(Finding::warning(login.after_denial(host)));
            }
        }
        findings
    }
}

impl DockerConfig {
    fn helper(&self, host: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(server, _)| is_of(server, host)).map(|(_, helper)| helper.as_str());
        own.or(Some(self.creds_store.as_str())).filter(|helper| !helper.is_empty())
    }

    fn entry(&self, host: &str) -> Option<&Entry> {
        self.auths
            .get(host)
            .or_else(|| self.auths.iter().find(|(server, _)| is_of(server, host)).map(|(_, entry)| entry))
    }
}

impl Entry {
    fn login(&self, file: &Path) -> Option<Login> {
        let origin = file.display().to_string();
        if !self.identitytoken.is_empty() {
            return Some(Login::Token { token: Password(self.identitytoken.clone()), origin });
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let decoded = String::from_utf8(STANDARD.decode(&self.auth).ok()?).ok()?;
            let (username, password) = decoded.split_once(':')?;
            (username.to_owned(), password.trim_end_matches('\0').to_owned())
        };
        let known = !username.is_empty();
        known.then_some(Login::User { username, password: Password(password), origin })
    }
}

/// The name that Docker's own tools give the Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// Whether `server`, a key of Docker's file, is about `host`: it may have a scheme and a path.
fn is_of(server: &str, host: &str) -> bool {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let bare = bare.split('/').next().unwrap_or(bare);
    bare == host || (host == "docker.io" && bare == "index.docker.io")
}

/// What a registry is called towards helpers and in credentials.
fn server_address(host: &str) -> &str {
    if host == "docker.io" { HUB } else { host }
}

/// Asks the helper that `file` names.
async fn ask_helper(helper: &str, host: &str, file: &Path, environment: &[(&'static str, String)]) -> Login {
    let program = format!("docker-credential-{helper}");
    let run = Run {
        program: &program,
        arguments: &["get".to_owned()],
        directory: None,
        environment,
        input: Some(server_address(host).as_bytes()),
        deadline: HELPER,
        keep: LONGEST,
        on_line: None,
        record: None,
    };
    let output = match run.output().await {
        Ok(output) => output,
        Err(error @ ExecError::NotFound { .. }) => {
            let file = file.display();
            return Login::anonymous(format!("{error}: install it, or take it out of {file}"));
        }
        Err(error) => return Login::anonymous(error.to_string()),
    };
    if !output.status.success() {
        // That it knows nothing is no trouble.
        let nothing = output.stdout.last_lines(1).contains("credentials not found");
        let failed = || Login::anonymous(format!("{program} failed: {}", why(&output)));
        return if nothing { Login::Anonymous { trouble: None } } else { failed() };
    }
    match serde_json::from_slice::<HelperAnswer>(output.stdout.bytes()) {
        Ok(answer) if answer.username == TOKEN_USER => Login::Token { token: Password(answer.secret), origin: program },
        Ok(answer) => Login::User { username: answer.username, password: Password(answer.secret), origin: program },
        Err(_) => Login::anonymous(format!("{program} did not answer with credentials")),
    }
}

/// Why a helper failed, in its own words: Docker's own helpers say it on standard output, others on standard error. What
/// may be its answer, with the secret in it, is not repeated.
fn why(output: &Output) -> String {
    let is_answer = |text: &str| text.contains('{') || text.to_ascii_lowercase().contains("\"secret");
    let told = [&output.stdout, &output.stderr].into_iter().find_map(|stream| {
        let said = stream.last_lines(1);
        (!said.is_empty() && !is_answer(&String::from_utf8_lossy(stream.bytes()))).then_some(said)
    });
    told.map_or_else(
        || format!("it ended with {} and printed nothing useful", output.status),
        |said| one_line(&without_secrets(&said), LONGEST_REASON),
    )
}

/// `text` without what may be a secret: what a name such as `password` announces, and what looks like a token.
fn without_secrets(text: &str) -> String {
    let mut announced = false;
    let pieces = text.split_inclusive([' ', '=', ':', '"', '\'', ',', '\t']).map(|piece| {
        let word = piece.trim_end_matches([' ', '=', ':', '"', '\'', ',', '\t']);
        if word.is_empty() {
            return piece.to_owned();
        }
        let end = piece.strip_prefix(word).unwrap_or_default();
        let hidden = std::mem::replace(&mut announced, announces(word, end)) || looks_like_a_token(word);
        if hidden { format!("…{end}") } else { piece.to_owned() }
    });
    pieces.collect()
}

fn announces(word: &str, end: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let names_one =
        ["password", "passwd", "secret", "token", "authorization", "key"].iter().any(|name| word.ends_with(name));
    (names_one && !end.contains(' ')) || word == "bearer" || word == "basic"
}

fn looks_like_a_token(word: &str) -> bool {
    let kinds: [fn(&u8) -> bool; 2] = [u8::is_ascii_digit, u8::is_ascii_alphabetic];
    word.len() >= 20
        && !word.starts_with('/')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/_-".contains(&byte) || byte == b'.')
        && (word.starts_with("eyJ")
            || (!word.contains('.') && kinds.iter().all(|kind| word.bytes().any(|byte| kind(&byte)))))
}

impl Login {
    /// As the engine takes it. The result prints the secret in clear: it goes straight into a request.
    pub(super) fn for_registry(&self, host: &str) -> Option<DockerCredentials> {
        let address = Some(server_address(host).to_owned());
        match self {
            Self::Anonymous { .. } => None,
            Self::User { username, password, .. } => Some(DockerCredentials {
                username: Some(username.clone()),
                password: Some(password.reveal().to_owned()),
                serveraddress: address,
                ..DockerCredentials::default()
            }),
            Self::Token { token, .. } => Some(DockerCredentials {
                identitytoken: Some(token.reveal().to_owned()),
                serveraddress: address,
                ..DockerCredentials::default()
            }),
        }
    }

    fn anonymous(trouble: String) -> Self {
        Self::Anonymous { trouble: Some(trouble) }
    }

    /// Whose credentials these are, and where they are from.
    pub(in crate::host) fn origin(&self) -> String {
        match self {
            Self::Anonymous { .. } => "no credentials".to_owned(),
            Self::User { username, origin, .. } => format!("the credentials of {username} from {origin}"),
            Self::Token { origin, .. } => format!("the token from {origin}"),
        }
    }

    /// What to do about it when the registry denies access.
    pub(in crate::host) fn after_denial(&self, host: &str) -> String {
        match self {
            Self::Anonymous { trouble: Some(trouble) } => format!("no credentials for {host}: {trouble}"),
            Self::Anonymous { trouble: None } => format!(
                "no credentials for {host}: add [registries.\"{host}\"] to config.toml, or run docker login {host}"
            ),
            Self::User { username, origin, .. } => {
                format!(
                    "the credentials of {username} for {host} are from {origin}: see that they are right and may read it"
                )
            }
            Self::Token { origin, .. } => {
                format!("the token for {host} is from {origin}: see that it is valid and may read the image")
            }
        }
    }

    /// What to add when the registry says that it does not know the image: many say so to a caller without credentials.
    pub(in crate::host) fn after_absence(&self, host: &str) -> String {
        match self {
            Self::Anonymous { .. } => format!("; if it is private: {}", self.after_denial(host)),
            Self::User { .. } | Self::Token { .. } => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::host::finding::Severity;

    async fn login(config: &str, host: &str) -> Login {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        CredentialStore::new(BTreeMap::new(), directory.path().to_owned()).login(host).await
    }

    fn user(login: &Login) -> (&str, &str) {
        match login {
            Login::User { username, password, .. } => (username, password.reveal()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_configuration_comes_before_dockers_own_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), r#"{"auths":{"r.io":{"auth":"ZmlsZTpw"}}}"#).unwrap();
        let known = RegistryCredentials { username: "ci".to_owned(), password: Password::new("secret".to_owned()) };
        let credentials = CredentialStore::new([("ghcr.io".to_owned(), known)].into(), directory.path().to_owned());
        assert_eq!(user(&credentials.login("ghcr.io").await), ("ci", "secret"));
        assert_eq!(user(&credentials.login("r.io").await), ("file", "p"));
        assert_eq!(credentials.login("other.io").await, Login::Anonymous { trouble: None });
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    #[tokio::test]
    async fn dockers_own_file_is_read_in_all_its_spellings() {
        let auth = STANDARD.encode("ci:a:b~?>");
        for key in ["r.io:5000", "https://r.io:5000", "http://r.io:5000/v2/"] {
            let found = login(&format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#), "r.io:5000").await;
            assert_eq!(user(&found), ("ci", "a:b~?>"), "{key}");
        }
        let hub = login(&format!(r#"{{"auths":{{"{HUB}":{{"auth":"{auth}"}}}}}}"#), "docker.io").await;
        assert_eq!(user(&hub), ("ci", "a:b~?>"));
        let token = login(r#"{"auths":{"r.io":{"auth":"eDp5","identitytoken":"t"}}}"#, "r.io").await;
        assert!(matches!(token, Login::Token { token, .. } if token.reveal() == "t"));
        let other = login(&format!(r#"{{"auths":{{"r.io.evil":{{"auth":"{auth}"}}}}}}"#), "r.io").await;
        assert_eq!(other, Login::Anonymous { trouble: None });
        let broken = login("{\"auths\":\n{\"r.io\": \"hunter2\"}}", "r.io").await;
        let said = broken.after_denial("r.io");
        assert!(said.contains("is broken at line 2") && !said.contains("hunter2"), "{said}");
    }

    #[tokio::test]
    async fn a_helper_is_asked_on_its_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-test");
        let script = "#!/bin/sh\nread -r host; [ \"$1 $host\" = 'get r.io' ] || { echo 'credentials not found in native keychain'; exit 1; }\n\
            echo '{\"ServerURL\":\"r.io\",\"Username\":\"ci\",\"Secret\":\"~?>\"}'\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
        let environment = [("PATH", path)];
        let file = Path::new("/root/.docker/config.json");
        assert_eq!(user(&ask_helper("test", "r.io", file, &environment).await), ("ci", "~?>"));
        assert_eq!(ask_helper("test", "other.io", file, &environment).await, Login::Anonymous { trouble: None });
        let config = r#"{"credHelpers":{"r.io":"windlass-no-such-helper"}}"#;
        let missing = login(config, "r.io").await;
        assert!(missing.after_denial("r.io").contains("docker-credential-windlass-no-such-helper is not installed"));
    }

    #[tokio::test]
    async fn the_reason_of_a_helper_that_fails_is_told_and_no_secret() {
        for (script, told) in [
            ("echo 'the keychain is locked'; exit 1", "the keychain is locked"),
            (
                "echo starting >&2; echo 'the session token has expired: log in again' >&2; exit 1",
                "the session token has expired: log in again",
            ),
            (r#"echo '{"Username":"ci","Secret":"hunter2"}'; echo 'cannot lock' >&2; exit 1"#, "cannot lock"),
            (r#"printf '{\n"Secret":\n"hunter2"\n}\n'; exit 3"#, "printed nothing useful"),
            (
                "echo 'refused: password=hunter2, Authorization: Bearer hunter2' >&2; exit 1",
                "refused: password=…, Authorization: … …",
            ),
            ("echo 'no good: eyJhbGciOi.hunter2.x9 dckr_pat_hunter2hunter2hunter2' >&2; exit 1", "no good: … …"),
            ("exit 7", "exit status: 7"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let program = directory.path().join("docker-credential-test");
            std::fs::write(&program, format!("#!/bin/sh\ncat >/dev/null\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
            let said = ask_helper("test", "r.io", Path::new("/x"), &[("PATH", path)]).await.after_denial("r.io");
            assert!(said.contains(told) && said.contains("docker-credential-test failed"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_survey_names_a_helper_that_is_not_installed_where_its_registry_needs_it() {
        let directory = tempfile::tempdir().unwrap();
        let auth = STANDARD.encode("ci:a");
        let config = format!(r#"{{"credsStore":"windlass-none","auths":{{"known.io":{{"auth":"{auth}"}}}}}}"#);
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        let known = RegistryCredentials { username: "ci".to_owned(), password: Password::new("secret".to_owned()) };
        let credentials = CredentialStore::new([("ghcr.io".to_owned(), known)].into(), directory.path().to_owned());
        let findings = credentials.survey(["ghcr.io", "known.io", "r.io"]).await;
        let [Finding { severity: Severity::Warning, what }] = &findings[..] else { panic!("{findings:?}") };
        for part in ["r.io", "docker-credential-windlass-none is not installed", "config.json"] {
            assert!(what.contains(part), "{what}");
        }
    }

    #[test]
    fn a_denial_says_what_to_do() {
        let nobody = Login::Anonymous { trouble: None };
        assert_eq!(
            nobody.after_denial("r.io"),
            "no credentials for r.io: add [registries.\"r.io\"] to config.toml, or run docker login r.io"
        );
        let user = Login::User {
            username: "ci".to_owned(),
            password: Password::new("hunter2".to_owned()),
            origin: "config.toml".to_owned(),
        };
        assert!(user.after_denial("r.io").contains("ci") && !user.after_denial("r.io").contains("hunter2"));
        assert!(!format!("{user:?}").contains("hunter2"));
    }
}
