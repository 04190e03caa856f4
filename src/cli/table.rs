//! Columns that line up, and moments as people say them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::output::{Output, Style};
use crate::model::{DeploymentId, one_line, short_tag};
use crate::wire::release::ImageView;
use crate::wire::state::Outcome;
use crate::wire::state::StatusWord;

/// Wider than any cell that can be read.
const LONGEST_CELL: usize = 1000;
/// Columns between two cells.
const GAP: usize = 2;
/// Of a line that belongs to the one above.
const INDENT: usize = 2;
/// How many characters of an id tell it from the others of a host.
const SHORT_ID: usize = 8;
/// A note that has less room beside what to type stands above it.
const LEAST_NOTE: usize = 24;
/// No column is cut to less.
const LEAST: usize = 6;

/// A table under a heading.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Columns that are not cut.
    whole: Vec<usize>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<Cell>),
    /// A line under a row that keeps to no column. Of its second part nothing is cut.
    Note(Cell, String),
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
        let headings = headings.iter().map(|heading| Cell::new(Style::Dim, heading)).collect();
        Self { rows: vec![Row::Cells(headings)], whole: Vec::new() }
    }

    /// The same, whose columns with these headings are not cut.
    pub(super) fn whole(mut self, headings: &[&str]) -> Self {
        if let Some(Row::Cells(cells)) = self.rows.first() {
            let is_whole = |cell: &Cell| headings.contains(&cell.text.as_str());
            self.whole = cells.iter().enumerate().filter(|(_, cell)| is_whole(cell)).map(|(place, _)| place).collect();
        }
        self
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row::Cells(cells));
    }

    /// A line about the last row, and what to type next.
    pub(super) fn note(&mut self, style: Style, text: &str, next: &str) {
        self.rows.push(Row::Note(Cell::new(style, text), one_line(next, LONGEST_CELL)));
    }

    /// Prints it in at most `width` columns, where there is such a limit.
    pub(super) fn print(&self, width: Option<usize>, output: &mut Output) {
        for line in self.lines(width, |cell| output.paint(cell.style, &cell.text)) {
            output.line(line);
        }
    }

    fn lines(&self, width: Option<usize>, paint: impl Fn(&Cell) -> String) -> Vec<String> {
        let widths = self.widths(width);
        let padded = |cell: &Cell, width: &usize| {
            let cell = Cell { text: cut(&cell.text, *width), style: cell.style };
            // Padded outside of the colour, or the colour would count as text.
            paint(&cell) + &" ".repeat(width.saturating_sub(cell.text.width()) + GAP)
        };
        let line = |row: &Row| match row {
            Row::Cells(cells) => {
                let line: String = cells.iter().zip(&widths).map(|(cell, width)| padded(cell, width)).collect();
                line.trim_end().to_owned()
            }
            Row::Note(about, next) => {
                let (indent, gap) = (" ".repeat(INDENT), " ".repeat(GAP));
                let room = width.map_or(usize::MAX, |width| width.saturating_sub(INDENT));
                let beside = room.saturating_sub(GAP + next.width());
                let cut = |room| paint(&Cell { text: cut(&about.text, room), style: about.style });
                if beside < LEAST_NOTE.min(about.text.width()) {
                    format!("{indent}{}\n{indent}{next}", cut(room))
                } else {
                    format!("{indent}{}{gap}{next}", cut(beside)).trim_end().to_owned()
                }
            }
        };
        self.rows.iter().map(line).collect()
    }

    /// How wide each column is: as its widest cell. Where that is too much in all, the widest columns are cut.
    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.text.width());
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        while limit.is_some_and(|limit| widths.iter().sum::<usize>() + gaps > limit) {
            let may_be_cut = |(place, width): &(usize, &mut usize)| **width > LEAST && !self.whole.contains(place);
            let widest = widths.iter_mut().enumerate().filter(may_be_cut).max_by_key(|(_, width)| **width);
            let Some((_, widest)) = widest else { break };
            *widest -= 1;
        }
        widths
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

/// `text` in at most `longest` columns of a terminal; what is longer ends with `…`.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.width() <= longest {
        return text.to_owned();
    }
    let mut left = longest.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// `text` as lines of at most `longest` columns, where there is such a limit: broken between words, and indented from the
/// second one on.
pub(super) fn wrapped(text: &str, longest: Option<usize>) -> Vec<String> {
    let Some(longest) = longest.filter(|longest| text.width() > *longest) else { return vec![text.to_owned()] };
    let begin: String = text.chars().take_while(|c| *c == ' ').collect();
    let indent = format!("{begin}    ");
    let (mut lines, mut line) = (Vec::new(), begin);
    for word in text.trim_start().split(' ') {
        let gap = if line.trim().is_empty() { "" } else { " " };
        if !gap.is_empty() && line.width() + 1 + word.width() > longest {
            lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
        } else {
            line.push_str(gap);
            line.push_str(word);
        }
    }
    lines.push(line);
    lines
}

/// The last characters of an id, by which people tell one from another.
pub(super) fn short_id(id: &DeploymentId) -> &str {
    let id = id.as_str();
    id.get(id.len().saturating_sub(SHORT_ID)..).unwrap_or(id)
}

/// Images by what tells one release from another: the tag alone where there is one image, `api:v2, web:v2` where there are
/// several, the first digits of a digest where there is no tag.
pub(super) fn tags(images: &[ImageView]) -> String {
    let digest =
        |image: &ImageView| image.digest.as_ref().or(image.image.digest()).map(|digest| digest.short().to_owned());
    match images {
        [] => "-".to_owned(),
        [image] => match image.image.tag() {
            Some(tag) => short_tag(tag).to_owned(),
            None => digest(image).unwrap_or_else(|| image.image.short()),
        },
        several => several.iter().map(|image| image.image.short()).collect::<Vec<_>>().join(", "),
    }
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
        let plain = table.lines(None, |cell| cell.text.clone());
        assert_eq!(plain, ["PROJECT     STATUS", "shop        rolled_back", "käsekuchen  never"]);
        let painted = table.lines(None, |cell| format!("<{}>", cell.text));
        assert_eq!(painted[1], "<shop>        <rolled_back>");
    }

    #[test]
    fn what_is_too_wide_is_cut_where_it_is_widest_and_what_to_type_stays() {
        let mut table = Table::new(&["PROJECT", "LAST"]);
        table.row(vec![Cell::plain("shop"), Cell::plain("the database is being moved by ann")]);
        table.note(Style::Bad, "the port 8080 is taken by another container", "windlass follow shop");
        table.row(vec![Cell::plain("東京"), Cell::plain("v1")]);
        let lines = table.lines(Some(40), |cell| cell.text.clone());
        assert_eq!(
            lines,
            [
                "PROJECT  LAST",
                "shop     the database is being moved by…",
                "  the port 8080 is taken by another con…\n  windlass follow shop",
                "東京     v1"
            ]
        );
        assert!(lines.iter().flat_map(|line| line.lines()).all(|line| line.width() <= 40));
        let beside = &table.lines(Some(60), |cell| cell.text.clone())[2];
        assert_eq!(beside, "  the port 8080 is taken by another c…  windlass follow shop");
        assert!(table.lines(None, |cell| cell.text.clone())[2].contains("another container"));
    }

    #[test]
    fn a_cell_cannot_leave_its_place() {
        assert_eq!(Cell::plain("a\nb\u{1b}[2Kc").text, "a bc");
    }

    #[test]
    fn what_is_too_long_for_a_line_goes_on_below_between_words() {
        let text = "  rolled_back: the port 8080 is taken";
        assert_eq!(wrapped(text, None), [text]);
        assert_eq!(wrapped(text, Some(80)), [text]);
        assert_eq!(wrapped(text, Some(24)), ["  rolled_back: the port", "      8080 is taken"]);
        assert_eq!(wrapped("a-word-that-is-longer yes", Some(8)), ["a-word-that-is-longer", "    yes"]);
    }

    #[test]
    fn a_release_is_told_by_its_tag_and_by_its_names_where_it_has_several_images() {
        let image: ImageReference = "ghcr.io/acme/shop-api:v2".parse().unwrap();
        let view = ImageView { image: image.clone(), digest: Some(Digest::of(b"new")) };
        assert_eq!(tags(&[]), "-");
        assert_eq!(tags(std::slice::from_ref(&view)), "v2");
        assert_eq!(tags(&[view.clone(), view]), "shop-api:v2, shop-api:v2");
        let bare: ImageReference = format!("{}@{}", image.repository(), Digest::of(b"new")).parse().unwrap();
        assert_eq!(tags(&[ImageView { image: bare, digest: None }]), "11507a0e2f5e");
    }
}
