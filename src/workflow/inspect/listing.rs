//! Filters and sorts images, and sums up their counts.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::compare::{Change, ChangeCounts};
use super::index::Role;
use super::judge::StatusCounts;
use super::table::{ImageTable, TableImage};
use crate::domain::{ClassId, ImageId, RoundId};
use crate::workflow::held_out::OutputShape;

/// A problem with an image's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileProblem {
    Missing,
    /// The bytes differ from the imported ones.
    Changed,
    Unreadable,
}

/// File problems, as far as the files were checked.
pub type FileProblems = HashMap<ImageId, FileProblem>;

/// From `.0` to `.1`, both inclusive.
pub type CountRange = (u32, u32);
/// The upper bound that means no limit.
pub const NO_LIMIT: u32 = u32::MAX;
pub const ANY_COUNT: CountRange = (0, NO_LIMIT);

/// The sort key of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageSort {
    /// Import order.
    #[default]
    Import,
    Name,
    Objects,
    TruePositives,
    FalsePositives,
    Missed,
    HighestFalsePositive,
    Split,
    /// By the result of a comparison: new errors first, then fixed ones.
    Changes,
}

/// All conditions apply together.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageQuery {
    /// The round whose detections are counted; `None`: only ground truth.
    pub round: Option<RoundId>,
    /// The round to compare with: errors change from `round` to this one.
    pub against: Option<RoundId>,
    /// Detections below this score are not counted.
    pub threshold: f32,
    /// The output shape by which held-out images are counted; `None`: the round's best.
    pub shape: Option<OutputShape>,
    /// A part of the name, case-insensitive.
    pub name: String,
    pub split: Option<String>,
    pub role: Option<Role>,
    /// Contains an object of this class.
    pub class: Option<ClassId>,
    pub objects: CountRange,
    pub true_positives: CountRange,
    pub false_positives: CountRange,
    pub missed: CountRange,
    /// The highest-scored false positive has at least this score; 0: no condition.
    pub highest_from: f32,
    /// Contains a false positive or a missed object: the images behind a curve's point.
    pub only_errors: bool,
    pub problem: Option<FileProblem>,
    /// Contains an error with this change in the comparison.
    pub change: Option<Change>,
    pub sort: ImageSort,
    pub descending: bool,
}

impl Default for ImageQuery {
    fn default() -> Self {
        Self {
            round: None,
            against: None,
            threshold: 0.5,
            shape: None,
            name: String::new(),
            split: None,
            role: None,
            class: None,
            objects: ANY_COUNT,
            true_positives: ANY_COUNT,
            false_positives: ANY_COUNT,
            missed: ANY_COUNT,
            highest_from: 0.0,
            only_errors: false,
            problem: None,
            change: None,
            sort: ImageSort::default(),
            descending: false,
        }
    }
}

/// An image of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListedImage {
    /// Index in the table.
    pub at: u32,
    /// In the round; `None` without one.
    pub role: Option<Role>,
    /// `None`: the round was not run on it.
    pub counts: Option<StatusCounts>,
    pub highest_false_positive: Option<f32>,
    pub changes: Option<ChangeCounts>,
    pub problem: Option<FileProblem>,
}

/// The images that match a query, and their totals.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub table: Arc<ImageTable>,
    pub images: Vec<ListedImage>,
    /// Number of objects in the listed images.
    pub objects: u64,
    /// Totals over the listed images that the round was run on.
    pub counts: StatusCounts,
    pub changes: ChangeCounts,
    /// Number of images that the round was run on.
    pub was_run: u64,
    /// The output shape by which held-out images were counted.
    pub shape: Option<OutputShape>,
}

impl Listing {
    pub fn image(&self, row: usize) -> Option<&TableImage> {
        self.table.images.get(self.images.get(row)?.at as usize)
    }

    /// Returns the row of an image in the list.
    pub fn row_of(&self, image: ImageId) -> Option<usize> {
        let at = self.table.place(image)? as u32;
        self.images.iter().position(|listed| listed.at == at)
    }
}

/// Filters, sorts and sums up images. `rows` are all images in table order.
pub(super) fn list(table: &Arc<ImageTable>, rows: Vec<ListedImage>, query: &ImageQuery) -> Listing {
    let name = query.name.trim().to_lowercase();
    let mut images: Vec<ListedImage> = rows
        .into_iter()
        .filter(|row| {
            let image = &table.images[row.at as usize];
            passes(row, image, query) && (name.is_empty() || image.record.name.to_lowercase().contains(&name))
        })
        .collect();
    // Stable: ties stay in import order, in either direction.
    images.sort_by(|a, b| {
        let order = compare_by(query.sort, a, b, table);
        if query.descending { order.reverse() } else { order }
    });
    let mut listing = Listing { table: Arc::clone(table), ..Listing::default() };
    for row in &images {
        listing.objects += u64::from(table.images[row.at as usize].objects);
        if let Some(counts) = row.counts {
            listing.counts += counts;
            listing.was_run += 1;
        }
        listing.changes += row.changes.unwrap_or_default();
    }
    listing.images = images;
    listing
}

fn passes(row: &ListedImage, image: &TableImage, query: &ImageQuery) -> bool {
    let within = |value: u32, range: CountRange| range.0 <= value && value <= range.1;
    // An image that the round was not run on has no counts: it only matches if no count is filtered.
    let counted = |of: fn(&StatusCounts) -> u32, range: CountRange| {
        range == ANY_COUNT || row.counts.as_ref().is_some_and(|counts| within(of(counts), range))
    };
    query.split.as_ref().is_none_or(|split| image.record.split.as_ref() == Some(split))
        && query.role.is_none_or(|role| row.role == Some(role))
        && query.class.is_none_or(|class| image.classes.contains(&class))
        && within(image.objects, query.objects)
        && counted(|counts| counts.true_positives, query.true_positives)
        && counted(|counts| counts.false_positives, query.false_positives)
        && counted(|counts| counts.missed, query.missed)
        && (query.highest_from <= 0.0 || row.highest_false_positive.is_some_and(|score| score >= query.highest_from))
        && (!query.only_errors || row.counts.is_some_and(|counts| counts.false_positives + counts.missed > 0))
        && query.problem.is_none_or(|problem| row.problem == Some(problem))
        && query.change.is_none_or(|change| row.changes.is_some_and(|changes| changes.of(change) > 0))
}

fn compare_by(sort: ImageSort, a: &ListedImage, b: &ListedImage, table: &ImageTable) -> Ordering {
    let image = |row: &ListedImage| &table.images[row.at as usize];
    let by = |of: fn(&StatusCounts) -> u32| a.counts.map(|c| of(&c)).cmp(&b.counts.map(|c| of(&c)));
    match sort {
        ImageSort::Import => a.at.cmp(&b.at),
        ImageSort::Name => image(a).record.name.cmp(&image(b).record.name),
        ImageSort::Objects => image(a).objects.cmp(&image(b).objects),
        ImageSort::TruePositives => by(|counts| counts.true_positives),
        ImageSort::FalsePositives => by(|counts| counts.false_positives),
        ImageSort::Missed => by(|counts| counts.missed),
        ImageSort::HighestFalsePositive => {
            let score = |row: &ListedImage| row.highest_false_positive.unwrap_or(f32::NEG_INFINITY);
            score(a).total_cmp(&score(b))
        }
        ImageSort::Split => {
            let split = |row: &ListedImage| image(row).record.split.clone();
            let number = |split: &Option<String>| split.as_deref().and_then(|s| s.parse::<u64>().ok());
            let (a, b) = (split(a), split(b));
            number(&a).cmp(&number(&b)).then(a.cmp(&b))
        }
        ImageSort::Changes => {
            let changes = |row: &ListedImage| row.changes.map(|c| (c.new, c.fixed, c.still));
            changes(a).cmp(&changes(b))
        }
    }
}
