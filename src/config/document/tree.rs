//! The tree of a TOML text: what stands where, and what is left of it without some of its entries.

use std::cmp::Reverse;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::key_path::{KeyPath, Segment};

/// A parsed text.
#[derive(Debug, Clone)]
pub(crate) struct Tree<'t>(Spanned<DeValue<'t>>);

impl<'t> Tree<'t> {
    /// Reads a text. What does not follow TOML's grammar is told and left out.
    pub(crate) fn parse(text: &'t str) -> (Self, Vec<Error>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        (Self(Spanned::new(table.span(), DeValue::Table(table.into_inner()))), errors)
    }

    /// What it says.
    pub(crate) fn read<T: Deserialize<'t>>(&self) -> Result<T, Error> {
        T::deserialize(ValueDeserializer::from(self.0.clone()))
    }

    /// Where the setting at `path` begins, or as much of the path as is there.
    pub(crate) fn offset(&self, path: &KeyPath) -> usize {
        let (mut offset, mut value) = (0, &self.0);
        for segment in path.segments() {
            let Some(next) = step(value.get_ref(), segment) else { break };
            (offset, value) = next;
        }
        offset
    }

    /// Where the value at `path` is written, if it is.
    pub(crate) fn span(&self, path: &KeyPath) -> Option<Range<usize>> {
        let mut value = &self.0;
        for segment in path.segments() {
            value = step(value.get_ref(), segment)?.1;
        }
        Some(value.span())
    }

    /// The path to the entry with the narrowest name or value around `span`; of equal ones the innermost.
    pub(crate) fn find(&self, span: &Range<usize>) -> Option<KeyPath> {
        let mut all = Vec::new();
        collect(&self.0, &KeyPath::default(), &mut all);
        let around = all.into_iter().filter(|(outer, _)| outer.start <= span.start && span.end <= outer.end);
        around.min_by_key(|(outer, path)| (outer.len(), Reverse(path.segments().len()))).map(|(_, path)| path)
    }

    /// Takes out the entry that `path` leads to; whether there was one.
    pub(crate) fn remove(&mut self, path: &KeyPath) -> bool {
        let Some((last, parents)) = path.segments().split_last() else { return false };
        let mut value = &mut self.0;
        for segment in parents {
            let next = match (segment, value.get_mut()) {
                (Segment::Key(key), DeValue::Table(table)) => table.get_mut(key.as_str()),
                (Segment::Index(index), DeValue::Array(list)) => list.get_mut(*index),
                _ => None,
            };
            let Some(next) = next else { return false };
            value = next;
        }
        match (last, value.get_mut()) {
            (Segment::Key(key), DeValue::Table(table)) => table.remove(key.as_str()).is_some(),
            (Segment::Index(index), DeValue::Array(list)) if *index < list.len() => {
                let left = list.iter().enumerate().filter(|(i, _)| i != index);
                *list = left.map(|(_, value)| value.clone()).collect();
                true
            }
            _ => false,
        }
    }
}

/// One step down, and where it arrives: at the value, or at the name of a table, whose values stand anywhere.
fn step<'v, 't>(value: &'v DeValue<'t>, segment: &Segment) -> Option<(usize, &'v Spanned<DeValue<'t>>)> {
    match (segment, value) {
        (Segment::Key(key), DeValue::Table(table)) => {
            let (key, next) = table.get_key_value(key.as_str())?;
            Some((if next.get_ref().is_table() { key.span().start } else { next.span().start }, next))
        }
        (Segment::Index(index), DeValue::Array(list)) => list.get(*index).map(|next| (next.span().start, next)),
        _ => None,
    }
}

/// All names and values. Tables are entered whatever their own span is: what stands below a header is not in it.
fn collect(value: &Spanned<DeValue<'_>>, at: &KeyPath, all: &mut Vec<(Range<usize>, KeyPath)>) {
    all.push((value.span(), at.clone()));
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                let here = at.key(key.get_ref());
                all.push((key.span(), here.clone()));
                collect(value, &here, all);
            }
        }
        DeValue::Array(list) => list.iter().enumerate().for_each(|(i, value)| collect(value, &at.index(i), all)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "listen = 1\n[projects.shop]\nimages = ['a', 'b']\n[[projects.shop.keys]]\nid = 'x'\n";

    fn path(keys: &[&str], index: usize, key: Option<&str>) -> KeyPath {
        let path = KeyPath::of(keys).index(index);
        key.map_or_else(|| path.clone(), |key| path.key(key))
    }

    #[test]
    fn every_entry_is_found_again_from_its_place() {
        let (tree, errors) = Tree::parse(TEXT);
        assert!(errors.is_empty());
        for (path, text) in [
            (KeyPath::of(&["listen"]), "1"),
            (KeyPath::of(&["projects", "shop"]), "shop"),
            (path(&["projects", "shop", "images"], 1, None), "'b'"),
            (path(&["projects", "shop", "keys"], 0, None), "[[projects.shop.keys]]"),
            (path(&["projects", "shop", "keys"], 0, Some("id")), "'x'"),
        ] {
            let offset = tree.offset(&path);
            assert!(TEXT[offset..].starts_with(text), "{path}: {}", &TEXT[offset..]);
            assert_eq!(tree.find(&(offset..offset + text.len())), Some(path));
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_stops_where_it_last_was() {
        let (tree, _) = Tree::parse(TEXT);
        let shop = tree.offset(&KeyPath::of(&["projects", "shop"]));
        assert_eq!(tree.offset(&KeyPath::of(&["projects", "shop", "compose", "directory"])), shop);
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays() {
        let (mut tree, _) = Tree::parse(TEXT);
        for gone in [path(&["projects", "shop", "images"], 0, None), KeyPath::of(&["listen"])] {
            assert!(tree.remove(&gone), "{gone}");
        }
        assert!(!tree.remove(&KeyPath::of(&["listen"])));
        assert!(!tree.remove(&KeyPath::default()));
        let left: toml::Table = tree.read().unwrap();
        assert_eq!(left.to_string(), "[projects.shop]\nimages = [\"b\"]\n\n[[projects.shop.keys]]\nid = \"x\"\n");
    }
}
