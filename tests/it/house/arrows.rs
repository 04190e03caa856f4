//! Which file names which: reads the paths in the production code of all files, re-exports followed to their source.

use std::collections::{BTreeMap, BTreeSet};

/// For each file, the files whose items it names.
pub(super) struct Arrows(BTreeMap<String, BTreeSet<String>>);

/// A module, as the names that lead to it from the root of the crate.
type Module = Vec<String>;

/// What one file says.
#[derive(Default)]
struct Spoken {
    /// Paths from the root of the crate.
    named: Vec<Module>,
    /// What it passes on: the name that it gives it, and where it is from.
    passed_on: Vec<(String, Module)>,
}

impl Arrows {
    /// Of all `files`: path and text.
    pub(super) fn of(files: &[(String, String)]) -> Self {
        let modules: BTreeMap<Module, &String> = files.iter().map(|(path, _)| (module(path), path)).collect();
        let spoken: Vec<(&String, Module, Spoken)> =
            files.iter().map(|(path, text)| (path, module(path), Spoken::read(&module(path), text))).collect();
        let mut sources = BTreeMap::new();
        for (_, module, spoken) in &spoken {
            for (name, source) in &spoken.passed_on {
                sources.insert([module.as_slice(), std::slice::from_ref(name)].concat(), source.clone());
            }
        }
        let arrows = spoken.iter().map(|(path, _, spoken)| {
            let targets = spoken.named.iter().filter_map(|named| file(named, &modules, &sources));
            ((*path).clone(), targets.filter(|target| target != *path).collect())
        });
        Self(arrows.collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    /// The shortest way from one file to another.
    pub(super) fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::new();
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            for target in self.0.get(way.last().unwrap()).into_iter().flatten() {
                let longer = [way.as_slice(), std::slice::from_ref(target)].concat();
                if target == to {
                    return Some(longer);
                }
                if seen.insert(target) {
                    ways.push(longer);
                }
            }
        }
        None
    }
}

fn module(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    if path == "lib" { Module::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The file in which what `named` says stands.
fn file(named: &Module, modules: &BTreeMap<Module, &String>, sources: &BTreeMap<Module, Module>) -> Option<String> {
    let mut named = named.clone();
    loop {
        let known = (0..=named.len()).rev().find(|length| modules.contains_key(&named[..*length]))?;
        // Where the next name is passed on, it stands somewhere else.
        match named.get(..=known).and_then(|name| sources.get(name)) {
            Some(source) => named = [source.as_slice(), &named[known + 1..]].concat(),
            None => return Some((*modules[&named[..known]]).clone()),
        }
    }
}

impl Spoken {
    fn read(module: &Module, text: &str) -> Self {
        let tokens = production(&tokens(text));
        let words: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let children: BTreeSet<&str> = words
            .windows(3)
            .filter_map(|three| if let ["mod", name, ";"] = three { Some(*name) } else { None })
            .collect();
        let absolute = |path: &[String]| -> Option<Module> {
            let (first, rest) = path.split_first()?;
            let supers = path.iter().take_while(|name| *name == "super").count();
            match first.as_str() {
                "crate" | "windlass" => Some(rest.to_vec()),
                "self" => Some([module.as_slice(), rest].concat()),
                "super" => Some([&module[..module.len() - supers], &path[supers..]].concat()),
                name if children.contains(name) => Some([module.as_slice(), path].concat()),
                _ => None,
            }
        };
        let (mut spoken, mut bare) = (Self::default(), BTreeSet::new());
        let (mut at, mut public) = (0, false);
        while at < words.len() {
            match words[at] {
                "pub" => {
                    public = true;
                    at += 1;
                    if words.get(at) == Some(&"(") {
                        at += words[at..].iter().position(|word| *word == ")").unwrap() + 1;
                    }
                    continue;
                }
                // And not `use<>`, which says what a return type borrows.
                "use" if words.get(at + 1) != Some(&"<") => {
                    let end = at + words[at..].iter().position(|word| *word == ";").unwrap();
                    for (path, name) in tree(&words[at + 1..end]) {
                        match absolute(&path) {
                            Some(source) if public => spoken.passed_on.push((name, source)),
                            Some(named) => spoken.named.push(named),
                            None => {}
                        }
                    }
                    at = end;
                }
                "mod" if words.get(at + 2) == Some(&";") => at += 2,
                word if is_name(word) && !(at > 0 && matches!(words[at - 1], "::" | ".")) => {
                    let mut path = vec![word.to_owned()];
                    while words.get(at + 1) == Some(&"::") && words.get(at + 2).is_some_and(|next| is_name(next)) {
                        at += 2;
                        path.push(words[at].to_owned());
                    }
                    spoken.named.extend(absolute(&path).filter(|_| path.len() > 1));
                    bare.insert(path[0].clone());
                }
                _ => {}
            }
            at += 1;
            public = false;
        }
        // Who passes a thing on, and uses it besides, names it.
        let used = spoken.passed_on.iter().filter(|(name, _)| bare.contains(name)).map(|(_, source)| source.clone());
        spoken.named.extend(used.collect::<Vec<_>>());
        spoken
    }
}

/// The paths of a `use`, and the name that each gets.
fn tree(words: &[&str]) -> Vec<(Vec<String>, String)> {
    let mut path: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match *word {
            "::" => {}
            "as" => return vec![(path, words[at + 1].to_owned())],
            "{" => {
                let (mut depth, mut start, mut found) = (0, at + 1, Vec::new());
                for (end, word) in words.iter().enumerate().skip(at) {
                    depth += i32::from(*word == "{") - i32::from(*word == "}");
                    if (depth == 1 && *word == ",") || depth == 0 {
                        found.extend(tree(&words[start..end]).into_iter().map(|(rest, name)| {
                            let path = [path.as_slice(), &rest].concat();
                            if name == "self" {
                                (path[..path.len() - 1].to_vec(), path[path.len() - 2].clone())
                            } else {
                                (path, name)
                            }
                        }));
                        start = end + 1;
                    }
                }
                return found;
            }
            name => path.push(name.to_owned()),
        }
    }
    let name = path.last().cloned();
    name.map(|name| vec![(path, name)]).unwrap_or_default()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Without what is compiled for tests alone.
fn production(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut left = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(TEST.len()).map(String::as_str).eq(TEST) {
            let mut depth = 0;
            at += TEST.len();
            // Up to the end of the item.
            while at < tokens.len() {
                depth += i32::from(tokens[at] == "{") - i32::from(tokens[at] == "}");
                at += 1;
                if depth == 0 && matches!(tokens[at - 1].as_str(), ";" | "}") {
                    break;
                }
            }
        } else {
            left.push(tokens[at].clone());
            at += 1;
        }
    }
    left
}

/// Names and signs, without comments, texts and characters.
fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(length) = literal(rest) {
            length
        } else if is_name(rest) {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long the text or the character is with which `rest` begins.
fn literal(rest: &str) -> Option<usize> {
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(2 + hashes + raw[hashes + 1..].find(&end)? + end.len());
        }
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    // A lifetime has a name and no second quote; the code of a character stands in braces.
    let longest = match quote {
        '"' => rest.len(),
        _ if rest.starts_with("'\\") => "'\\u{10ffff}'".len(),
        _ => 1 + char::MAX.len_utf8(),
    };
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            _ if at > longest => return None,
            '\\' => drop(characters.next()),
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Arrows::of(&files).iter().map(|(from, to)| format!("{from} {to}")).collect()
    }

    #[test]
    fn arrows_are_found_however_they_are_written() {
        let found = arrows(&[
            ("src/a.rs", "mod b;\nmod c;\npub use b::B;\npub use c::{self as d, C};\nfn f(c: C) { b::go() }"),
            ("src/a/b.rs", "use super::c;\n#[cfg(test)]\nmod tests { use crate::e::E; }\nfn f() { x::c::g() }"),
            (
                "src/a/c.rs",
                "// use crate::e;\nconst T: &str = \"crate::e\"; const Q: char = '\"'; pub(in crate::a) fn f<'a>() {}",
            ),
            ("src/e.rs", "use crate::{a::{B, d::X}, f::F as G};"),
            ("src/f.rs", "pub use self::f::crate_; fn f() { super::a::B::new(); }"),
        ]);
        assert_eq!(
            found,
            [
                "src/a.rs src/a/b.rs",
                "src/a.rs src/a/c.rs",
                "src/a/b.rs src/a/c.rs",
                "src/e.rs src/a/b.rs",
                "src/e.rs src/a/c.rs",
                "src/e.rs src/f.rs",
                "src/f.rs src/a/b.rs"
            ]
        );
    }

    #[test]
    fn a_way_is_found_and_is_the_shortest() {
        let text = |to: &str| format!("use crate::{to}::X;");
        let files = [("a", "b"), ("b", "c"), ("c", "a")].map(|(from, to)| (format!("src/{from}.rs"), text(to)));
        let arrows = Arrows::of(&files);
        assert_eq!(arrows.way("src/a.rs", "src/a.rs").unwrap().len(), 4);
    }
}
