//! The project's object classes, with their former names and the classes merged into them.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::connection::new_uid;
use super::{Store, StoreError, queue_index, settle};
use crate::domain::{Class, ClassId, ImageId};

const COLUMNS: &str = "id, name, color, position, origin";

/// Counts of what belongs to a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Ground truth annotations from all sources.
    pub objects: u64,
    pub candidates: u64,
    /// Rows of the verdict log that name the class, including undone ones.
    pub verdicts: u64,
}

impl Store {
    /// Returns the classes by position, without those merged into others.
    pub fn classes(&self) -> Result<Vec<Class>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM classes WHERE merged_into IS NULL ORDER BY position, id");
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the class with this current or former name; a merged class resolves to its target.
    pub fn class_by_name(&self, name: &str) -> Result<Option<ClassId>, StoreError> {
        self.read(|c| find(c, name))
    }

    /// Returns the class found by [`Store::class_by_name`], or appends a new one to the list.
    pub fn add_class(&mut self, name: &str, origin: &str) -> Result<ClassId, StoreError> {
        self.write(|tx| find_or_insert(tx, name, origin))
    }

    pub fn class_counts(&self, class: ClassId) -> Result<ClassCounts, StoreError> {
        self.read(|c| {
            let count = |sql: &str| c.query_row(sql, [class.0], |r| r.get::<_, i64>(0)).map(|n| n as u64);
            Ok(ClassCounts {
                objects: count("SELECT count(*) FROM ground_truth WHERE class_id = ?1")?,
                candidates: count("SELECT count(*) FROM candidates WHERE class_id = ?1")?,
                verdicts: count(
                    "SELECT count(*) FROM verdicts v JOIN classes k ON k.id = v.class_id
                     WHERE coalesce(k.merged_into, k.id) = ?1",
                )?,
            })
        })
    }

    /// Renames a class. The old name still resolves to it, so that reimported datasets and verdict files of other copies keep working.
    pub fn rename_class(&mut self, class: ClassId, name: &str) -> Result<(), StoreError> {
        let name = sound_name(name)?;
        self.write(|tx| {
            let old = live(tx, class)?;
            if old.name == name {
                return Ok(());
            }
            if let Some(other) = find(tx, name)?.filter(|other| *other != class) {
                let text = format!(
                    "`{name}` is already a class ({other}), or was merged into it. Choose another name, or merge the two: \
                     `quarry classes merge {} {name}`",
                    old.name
                );
                return Err(StoreError::Invalid(text));
            }
            // A class may return to a former name.
            tx.execute("DELETE FROM former_class_names WHERE name = ?1", [name])?;
            keep_name(tx, &old.name, class)?;
            tx.execute("UPDATE classes SET name = ?2 WHERE id = ?1", params![class.0, name])?;
            queue_index::mark_changed(tx)
        })
    }

    /// Moves everything of class `from` to `into`: ground truth, detections, candidates and the classes of verdicts. The log itself is
    /// unchanged; `from` leaves the list, and its names resolve to `into` from then on.
    pub fn merge_classes(&mut self, from: ClassId, into: ClassId) -> Result<(), StoreError> {
        if from == into {
            return Err(StoreError::Invalid("a class cannot be merged into itself; name two classes".to_owned()));
        }
        self.write(|tx| {
            let (gone, _) = (live(tx, from)?, live(tx, into)?);
            let images = images_of(tx, from, into)?;
            for table in ["ground_truth", "detections", "candidates"] {
                let sql = format!("UPDATE {table} SET class_id = ?2 WHERE class_id = ?1");
                tx.execute(&sql, [from.0, into.0])?;
            }
            tx.execute("UPDATE standing_verdicts SET class_id = ?2 WHERE class_id = ?1", [from.0, into.0])?;
            tx.execute("UPDATE former_class_names SET class_id = ?2 WHERE class_id = ?1", [from.0, into.0])?;
            tx.execute("UPDATE classes SET merged_into = ?2 WHERE id = ?1 OR merged_into = ?1", [from.0, into.0])?;
            // The row keeps its uid, which other copies' verdicts refer to; its name now resolves to `into`.
            keep_name(tx, &gone.name, into)?;
            tx.execute("UPDATE classes SET name = 'merged ' || hex(uid) WHERE id = ?1", [from.0])?;
            images.into_iter().try_for_each(|image| settle::rematch(tx, image))?;
            queue_index::mark_changed(tx)
        })
    }
}

/// Finds a class by current or former name.
pub(super) fn find(c: &Connection, name: &str) -> Result<Option<ClassId>, StoreError> {
    let sql = "SELECT id FROM classes WHERE name = ?1 AND merged_into IS NULL
               UNION ALL SELECT class_id FROM former_class_names WHERE name = ?1 LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()?.map(ClassId))
}

pub(super) fn find_or_insert(tx: &Transaction<'_>, name: &str, origin: &str) -> Result<ClassId, StoreError> {
    let name = sound_name(name)?;
    match find(tx, name)? {
        Some(known) => Ok(known),
        None => insert(tx, new_uid(), name, origin),
    }
}

/// Finds the class that another copy of the project calls `uid` and `name`; creates it if both are unknown.
pub(super) fn of_other_copy(tx: &Transaction<'_>, uid: [u8; 16], name: &str) -> Result<ClassId, StoreError> {
    let sql = "SELECT coalesce(merged_into, id) FROM classes WHERE uid = ?1";
    let by_uid = tx.prepare_cached(sql)?.query_row([uid], |r| r.get(0)).optional()?;
    if let Some(known) = by_uid {
        return Ok(ClassId(known));
    }
    let name = sound_name(name)?;
    match find(tx, name)? {
        Some(known) => Ok(known),
        None => insert(tx, uid, name, "verdicts"),
    }
}

/// Checks that a class can be assigned: listed, not merged into another one.
pub(super) fn live(c: &Connection, class: ClassId) -> Result<Class, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM classes WHERE id = ?1 AND merged_into IS NULL");
    let found = c.prepare_cached(&sql)?.query_row([class.0], from_row).optional()?;
    found.ok_or_else(|| StoreError::missing("class", class))
}

fn insert(tx: &Transaction<'_>, uid: [u8; 16], name: &str, origin: &str) -> Result<ClassId, StoreError> {
    let position: u32 =
        tx.query_row("SELECT coalesce(max(position) + 1, 0) FROM classes WHERE merged_into IS NULL", [], |r| r.get(0))?;
    let [r, g, b] = Class::default_color(position).map(i64::from);
    let sql = "INSERT INTO classes (uid, name, color, position, origin) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(sql, params![uid, name, r << 16 | g << 8 | b, position, origin])?;
    Ok(ClassId(tx.last_insert_rowid()))
}

fn keep_name(tx: &Transaction<'_>, name: &str, class: ClassId) -> Result<(), StoreError> {
    let sql = "INSERT INTO former_class_names (name, class_id) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET class_id = excluded.class_id";
    tx.execute(sql, params![name, class.0])?;
    Ok(())
}

/// Returns the images where merging two classes changes how candidates match the ground truth.
fn images_of(tx: &Transaction<'_>, a: ClassId, b: ClassId) -> Result<Vec<ImageId>, StoreError> {
    let sql = "SELECT DISTINCT image_id FROM candidates WHERE image_id IN (
                   SELECT image_id FROM candidates WHERE class_id IN (?1, ?2)
                   UNION SELECT image_id FROM ground_truth WHERE class_id IN (?1, ?2))";
    let mut statement = tx.prepare(sql)?;
    Ok(statement.query_map([a.0, b.0], |r| r.get(0).map(ImageId))?.collect::<Result<_, _>>()?)
}

/// Maximum length of a class name in bytes.
pub const CLASS_NAME_BYTES: usize = 200;

/// Whether a project can hold this class name: one non-empty line of at most [`CLASS_NAME_BYTES`] without control characters.
pub fn is_class_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= CLASS_NAME_BYTES && !name.chars().any(char::is_control)
}

/// Trims a name and checks it.
fn sound_name(name: &str) -> Result<&str, StoreError> {
    let name = name.trim();
    if !is_class_name(name) {
        let text = "a class needs a name of one line, of at most 200 bytes and without control characters";
        return Err(StoreError::Invalid(text.to_owned()));
    }
    Ok(name)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Class> {
    let color: u32 = row.get(2)?;
    Ok(Class {
        id: ClassId(row.get(0)?),
        name: row.get(1)?,
        color: [(color >> 16) as u8, (color >> 8) as u8, color as u8],
        position: row.get(3)?,
        origin: row.get(4)?,
    })
}
