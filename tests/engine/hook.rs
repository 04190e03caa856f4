//! Hooks as a CI job sends them: signed by openssl, sent by curl, with the recipe of the documentation.

use std::path::Path;

use serde_json::Value;

use crate::program::{Lines, Program};

/// What a CI job types.
const RECIPE: &str = r#"
id=${DELIVERY:-$(uuidgen)}; ts=$(date +%s)
sig=$(printf '%s.%s.%s' "$id" "$ts" "$BODY" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY_HEX" -binary | base64 -w0)
exec curl "$@" -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \
  -H 'Content-Type: application/json' -d "$BODY" "$URL"
"#;

/// A hook that is about to be sent.
pub struct Hook {
    url: String,
    key: String,
    body: String,
    query: String,
    delivery: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The headers, as they came.
    pub headers: String,
    pub text: String,
}

impl Hook {
    pub fn new(url: &str, key: &str, body: &str) -> Self {
        let (query, delivery) = (String::new(), String::new());
        Self { url: url.to_owned(), key: key.to_owned(), body: body.to_owned(), query, delivery }
    }

    pub fn query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        self
    }

    /// The delivery's id; each sending has another unless it is set.
    pub fn delivery(mut self, id: &str) -> Self {
        id.clone_into(&mut self.delivery);
        self
    }

    /// Sends it and reads the whole answer.
    pub fn send(&self) -> Answer {
        self.attempt().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends it to one that may be down, or end before it has answered.
    pub fn attempt(&self) -> Result<Answer, String> {
        let output = self.curl(&["-sS", "--noproxy", "*", "-i"]).output();
        if output.code != 0 {
            return Err(format!("curl ended with {}: {}", output.code, output.stderr));
        }
        let (headers, text) = output.stdout.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, headers: headers.to_owned(), text: text.to_owned() })
    }

    /// Sends it as the documentation does, and reads what happens line by line. What curl complains about goes into
    /// a file.
    pub fn stream(&self, errors: &Path) -> Lines {
        self.curl(&["--fail-with-body", "-sSN", "--noproxy", "*", "-H", "Accept: text/plain"]).lines(errors)
    }

    fn curl(&self, options: &[&str]) -> Program {
        Program::new("bash")
            .args(["-c", RECIPE, "hook"])
            .args(options)
            .env("KEY_HEX", &self.key)
            .env("BODY", &self.body)
            .env("DELIVERY", &self.delivery)
            .env("URL", format!("{}{}", self.url, self.query))
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Of the deployment that it speaks of.
    pub fn id(&self) -> String {
        let json = self.json();
        let id = json.pointer("/deployment/id").or_else(|| json.get("id")).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no deployment in {}", self.text)).to_owned()
    }

    /// The deployment that it speaks of.
    pub fn deployment(&self) -> Value {
        let json = self.json();
        json.get("deployment").cloned().unwrap_or(json)
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub fn succeeded(&self) -> Value {
        let deployment = self.ended(200, "succeeded");
        assert_eq!(deployment["reason"], Value::Null);
        deployment
    }

    /// Asserts that it was refused after it had been tried, and how it ended; gives the reason.
    #[track_caller]
    pub fn failed(&self, outcome: &str) -> String {
        let deployment = self.ended(422, outcome);
        deployment["reason"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn ended(&self, status: u16, outcome: &str) -> Value {
        let deployment = self.deployment();
        assert_eq!((self.status, deployment["status"].as_str()), (status, Some(outcome)), "{}", self.text);
        deployment
    }
}

/// A key of 64 hexadecimal digits as windlass reads it from a file.
pub fn key_text(hex: &str) -> String {
    use base64::Engine as _;
    let byte = |index: usize| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..32).map(byte).collect();
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}
