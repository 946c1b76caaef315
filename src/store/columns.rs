//! Converts between domain types and columns: enum words, boxes, shapes.

use rusqlite::types::Type;
use rusqlite::{Row, RowIndex};

use crate::domain::{
    Annotation, AnnotationSource, Basis, ClassId, CorrectionAct, FalsePositiveKind, RoundState, Shape, Verdict,
};
use crate::geometry::{BoundingBox, Ellipse};

/// A value stored as a word.
pub(super) trait Word: Sized {
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! word {
    ($($name:ty),*) => {
        $(impl Word for $name {
            fn from_word(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        })*
    };
}
word!(AnnotationSource, Basis, CorrectionAct, FalsePositiveKind, RoundState, Verdict);

/// Reads a word; an unknown word is an error that quotes it.
pub(super) fn word<T: Word>(row: &Row<'_>, index: impl RowIndex) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    T::from_word(&text).ok_or_else(|| unknown(&text))
}

pub(super) fn optional_word<T: Word>(row: &Row<'_>, index: impl RowIndex) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(index)?;
    text.map(|t| T::from_word(&t).ok_or_else(|| unknown(&t))).transpose()
}

/// Reads four columns from `first` on: x1, y1, x2, y2.
pub(super) fn bounding_box(row: &Row<'_>, first: usize) -> rusqlite::Result<BoundingBox> {
    Ok(BoundingBox::new(row.get(first)?, row.get(first + 1)?, row.get(first + 2)?, row.get(first + 3)?))
}

/// Returns a shape as columns: its word and a, b, c, d, e.
pub(super) fn shape_columns(shape: &Shape) -> (&'static str, [f64; 4], Option<f64>) {
    match shape {
        Shape::Rectangle(r) => ("rectangle", [r.x1, r.y1, r.x2, r.y2], None),
        Shape::Ellipse(e) => ("ellipse", [e.ra, e.rb, e.theta, e.cx], Some(e.cy)),
    }
}

/// Reads six columns from `first` on: shape, a, b, c, d, e; `None` if the first is NULL.
pub(super) fn optional_shape(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Shape>> {
    let word: Option<String> = row.get(first)?;
    let number = |k: usize| row.get::<_, f64>(first + k);
    match word.as_deref() {
        None => Ok(None),
        Some("rectangle") => Ok(Some(Shape::Rectangle(bounding_box(row, first + 1)?))),
        Some("ellipse") => {
            let ellipse = Ellipse::new(number(1)?, number(2)?, number(3)?, number(4)?, number(5)?);
            Ok(Some(Shape::Ellipse(ellipse)))
        }
        Some(other) => Err(unknown(other)),
    }
}

/// Reads nine columns from `first` on: class_id, shape, a, b, c, d, e, source, ignored.
pub(super) fn annotation(row: &Row<'_>, first: usize) -> rusqlite::Result<Annotation> {
    let shape = optional_shape(row, first + 1)?.ok_or_else(|| unknown("NULL"))?;
    Ok(Annotation {
        class: ClassId(row.get(first)?),
        shape,
        source: word(row, first + 7)?,
        ignored: row.get(first + 8)?,
    })
}

fn unknown(word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("unknown word `{word}` in the database").into())
}
