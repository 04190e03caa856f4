//! Puts what serde says about a value into the words of somebody who writes a configuration.

/// What is wrong, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation<'m> {
    pub(crate) what: String,
    /// The key that is not there, when that is it.
    pub(crate) missing: Option<&'m str>,
    pub(crate) fix: Option<String>,
}

/// Explains an error of serde's. Its messages are the only way to learn which keys a table may have.
pub(crate) fn explain(message: &str) -> Explanation<'_> {
    let message = message.trim_end();
    let plain = |what: String| Explanation { what, missing: None, fix: None };
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (unknown, known) = names(rest);
        return Explanation { fix: Some(did_you_mean(unknown, &known)), ..plain("unknown key".to_owned()) };
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (unknown, known) = names(rest);
        let fix = nearest(unknown, &known).map(|near| format!("did you mean `{near}`?"));
        return Explanation { fix, ..plain(format!("{unknown:?} is not one of {}", known.join(", "))) };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let (missing, _) = names(rest);
        return Explanation { missing: Some(missing), ..plain(format!("`{missing}` is missing")) };
    }
    let wrong_type = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "));
    if let Some((found, expected)) = wrong_type {
        return plain(format!("expected {}, not {}", in_toml(expected), in_toml(found)));
    }
    plain(message.to_owned())
}

/// The one of `known` that is most like `unknown`, when any is like it at all.
pub(crate) fn nearest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(unknown, name);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    let begins = unknown.len() >= 3 && (best.starts_with(unknown) || unknown.starts_with(best));
    (likeness(best) >= 0.5 || begins).then_some(best)
}

fn did_you_mean(unknown: &str, known: &[&str]) -> String {
    match nearest(unknown, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The name that serde speaks of, and those that it lists after it: all stand in backticks.
fn names(message: &str) -> (&str, Vec<&str>) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    (quoted.next().unwrap_or(""), quoted.collect())
}

/// serde's names for types, as TOML calls them.
fn in_toml(words: &str) -> &str {
    match words {
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "a table",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "unit value" => "nothing",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(message: &str) -> String {
        let Explanation { what, fix, .. } = explain(message);
        fix.map_or_else(|| what.clone(), |fix| format!("{what}; {fix}"))
    }

    #[test]
    fn what_serde_says_is_said_in_the_words_of_the_file() {
        for (serde, ours) in [
            ("unknown field `tiemout`, expected one of `tags`, `timeout`", "unknown key; did you mean `timeout`?"),
            ("unknown field `boddy`, expected `body`", "unknown key; did you mean `body`?"),
            ("unknown field `x`, expected one of `tags`, `timeout`", "unknown key; known here: tags, timeout"),
            ("unknown field `x`, there are no fields", "unknown key; nothing is known here"),
            (
                "unknown variant `githb`, expected one of `standard`, `github`",
                "\"githb\" is not one of standard, github; did you mean `github`?",
            ),
            ("unknown variant `none`, expected one of `github`", "\"none\" is not one of github"),
            ("missing field `id`", "`id` is missing"),
            ("invalid type: string \"a\", expected a sequence", "expected a list, not string \"a\""),
            ("invalid type: map, expected a string", "expected a text in quotes, not a table"),
            ("anything else", "anything else"),
        ] {
            assert_eq!(explained(serde), ours);
        }
    }

    #[test]
    fn only_what_is_like_a_name_is_taken_for_a_slip_of_it() {
        let known = ["images", "tags", "timeout", "secret_file"];
        for (unknown, near) in [
            ("image", Some("images")),
            ("tag", Some("tags")),
            ("tiemout", Some("timeout")),
            ("secret", Some("secret_file")),
            ("volumes", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, &known), near, "{unknown}");
        }
    }
}
