//! Every message in one list, to be read at once: `cargo test --test it -- --nocapture messages`. Words that make a message
//! hard to read are refused.

use std::fs;
use std::path::Path;

use crate::house::rust_files;

/// Each with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("whoever", "who does it: the caller, an operator, a program"),
    ("nobody", "what does not happen"),
    ("any more", "no longer"),
    ("of before", "previous"),
    ("anew", "again"),
    ("mend", "fix"),
    ("stands there", "is, appears"),
    ("is told", "is reported"),
    ("let go", "release, remove"),
    ("shall", "must, will"),
    ("taken up again", "resume"),
    ("withdraw", "cancel, remove"),
    ("makes no sense", "invalid"),
];

/// The texts between quotes, as they are written, escapes and all.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(at);
        if quoted.starts_with('\'') {
            // A character, such as '"' or '\''; else a lifetime.
            let mut letters = quoted.char_indices().skip(1);
            let end = match letters.next() {
                Some((_, '\\')) => quoted[3..].find('\'').map(|end| end + 4),
                Some((first, letter)) if quoted[first + letter.len_utf8()..].starts_with('\'') => {
                    Some(first + letter.len_utf8() + 1)
                }
                _ => None,
            };
            rest = &quoted[end.unwrap_or(1)..];
            continue;
        }
        let hashes = before.len() - before.trim_end_matches('#').len();
        let is_raw = before.trim_end_matches('#').ends_with('r');
        let end = if is_raw {
            quoted[1..].find(&format!("\"{}", "#".repeat(hashes))).unwrap()
        } else {
            let mut escaped = false;
            quoted[1..]
                .find(|letter| {
                    if escaped {
                        escaped = false;
                        false
                    } else {
                        escaped = letter == '\\';
                        letter == '"'
                    }
                })
                .unwrap()
        };
        let mut text = quoted[1..=end].to_owned();
        while let Some(broken) = text.find("\\\n") {
            let (first, second) = text.split_at(broken);
            text = format!("{first}{}", second[2..].trim_start());
        }
        found.push(text);
        rest = &quoted[end + 2..];
    }
    found
}

/// Whether a person may read it: several words, and no SQL.
fn is_message(text: &str) -> bool {
    const SQL: [&str; 7] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "EXPLAIN ", "PRAGMA "];
    let words = text.split(' ').filter(|word| word.chars().filter(char::is_ascii_lowercase).count() > 1).count();
    words > 1 && !SQL.iter().any(|keyword| text.trim_start().starts_with(keyword))
}

#[test]
fn literals_are_found_whatever_is_in_them() {
    let code = r##"f('"', "one \" two", r#"three "four""#, 'a', b'\'', "five \
        six", x::<'static>(), r"se\ven")"##;
    assert_eq!(literals(code), [r#"one \" two"#, r#"three "four""#, "five six", r"se\ven"]);
}

#[test]
fn messages_are_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut list, mut refused) = (String::new(), Vec::new());
    for path in rust_files(&root.join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<&str> = production.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let messages: Vec<String> = literals(&code.join("\n")).into_iter().filter(|text| is_message(text)).collect();
        let file = path.strip_prefix(root).unwrap().display();
        if !messages.is_empty() {
            list.push_str(&format!("\n{file}\n"));
        }
        for message in messages {
            list.push_str(&format!("  {message}\n"));
            let lower = message.to_lowercase();
            let is_word = |word: &str| lower.split(|letter: char| !letter.is_alphanumeric()).any(|found| found == word);
            for (word, instead) in REFUSED {
                if if word.contains(' ') { lower.contains(word) } else { is_word(word) } {
                    refused.push(format!("{file}: {message:?} has {word:?}: {instead}"));
                }
            }
        }
    }
    println!("{list}");
    assert!(list.lines().count() > 500, "the messages were not found");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
