//! Columns that line up, and moments as people say them.

use std::time::Duration;

use super::output::{Output, Style};
use crate::model::{Timestamp, one_line};
use crate::wire::release::ImageView;
use crate::wire::state::Outcome;
use crate::wire::state::StatusWord;

/// Wider than any cell that can be read.
const LONGEST_CELL: usize = 120;

/// A table under a heading.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// What stands in one place of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell without any emphasis.
    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(Style::Plain, text)
    }

    /// A cell that stands out, or stands back.
    pub(super) fn new(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref(), LONGEST_CELL), style }
    }

    /// A deployment's status.
    pub(super) fn status(status: StatusWord) -> Self {
        Self::new(style_of(status), status.to_string())
    }
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| Cell::new(Style::Dim, heading)).collect()] }
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Prints it.
    pub(super) fn print(&self, output: &mut Output) {
        for line in self.lines(|cell| output.paint(cell.style, &cell.text)) {
            output.line(line);
        }
    }

    fn lines(&self, paint: impl Fn(&Cell) -> String) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                // Padded outside of the colour, or the colour would count as text.
                let gap = " ".repeat(width - cell.text.chars().count() + 2);
                line += &(paint(cell) + &gap);
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

fn style_of(status: StatusWord) -> Style {
    match status {
        StatusWord::Queued | StatusWord::Running => Style::Busy,
        StatusWord::Ended(Outcome::Succeeded) => Style::Good,
        StatusWord::Ended(Outcome::Superseded | Outcome::Cancelled) => Style::Dim,
        StatusWord::Ended(Outcome::Abandoned | Outcome::RolledBack | Outcome::RollbackFailed) => Style::Bad,
    }
}

/// How long ago something was, in one unit: `12s`, `3m`, `5h`, `2d`.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something took: `1.2s`, `2m 5s`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        seconds => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

/// Images as people call them: `shop-api:main-3f2a91c (11507a0e2f5e)`, without registry and path.
pub(super) fn images(images: &[ImageView]) -> String {
    let short = |view: &ImageView| {
        let reference = &view.image;
        let path = reference.repository().path();
        let mut text = path.rsplit('/').next().unwrap_or(path).to_owned();
        if let Some(tag) = reference.tag() {
            text += &format!(":{tag}");
        }
        if let Some(digest) = view.digest.as_ref().or(reference.digest()) {
            text += &format!(" ({})", digest.short());
        }
        text
    };
    images.iter().map(short).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, ImageReference};

    #[test]
    fn columns_line_up_whatever_is_painted() {
        let mut table = Table::new(&["PROJECT", "STATUS"]);
        table.row(vec![Cell::plain("shop"), Cell::status(StatusWord::Ended(Outcome::RolledBack))]);
        table.row(vec![Cell::plain("käsekuchen"), Cell::new(Style::Dim, "never")]);
        let plain = table.lines(|cell| cell.text.clone());
        assert_eq!(plain, ["PROJECT     STATUS", "shop        rolled_back", "käsekuchen  never"]);
        let painted = table.lines(|cell| format!("<{}>", cell.text));
        assert_eq!(painted[1], "<shop>        <rolled_back>");
    }

    #[test]
    fn a_cell_cannot_leave_its_place() {
        assert_eq!(Cell::plain("a\nb\u{1b}[2Kc").text, "a b [2Kc");
    }

    #[test]
    fn moments_are_told_in_one_unit() {
        let now = Timestamp::from_millis(1_000_000_000);
        let ago = |seconds: i64| age(now, Timestamp::from_millis(now.as_millis() - seconds * 1000));
        let told: Vec<String> = [0, 59, 60, 3599, 3600, 172_799, 172_800, -5].into_iter().map(ago).collect();
        assert_eq!(told, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "0s"]);
        assert_eq!(duration(Duration::from_millis(1240)), "1.2s");
        assert_eq!(duration(Duration::from_secs(125)), "2m 5s");
    }

    #[test]
    fn an_image_is_told_by_its_last_name_its_tag_and_its_digest() {
        let image: ImageReference = "ghcr.io/acme/shop-api:v2".parse().unwrap();
        let view = |digest| ImageView { image: image.clone(), digest };
        assert_eq!(images(&[view(None)]), "shop-api:v2");
        assert_eq!(images(&[view(Some(Digest::of(b"new"))), view(None)]), "shop-api:v2 (11507a0e2f5e), shop-api:v2");
    }
}
