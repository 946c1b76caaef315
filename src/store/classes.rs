//! Classes of objects: the project's list, with the names that they had before and the classes that were merged into others.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::connection::new_uid;
use super::{Store, StoreError, queue_index, settle};
use crate::domain::{Class, ClassId, ImageId};

const COLUMNS: &str = "id, name, color, position, origin";

/// What is of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Ground truth of all sources.
    pub objects: u64,
    pub candidates: u64,
    /// Rows of the verdict log that name the class, undone ones too.
    pub verdicts: u64,
}

impl Store {
    /// In the order of their positions. Classes that were merged into others are not among them.
    pub fn classes(&self) -> Result<Vec<Class>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM classes WHERE merged_into IS NULL ORDER BY position, id");
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// The class of this name, also one that was called so before or was merged into another one since.
    pub fn class_by_name(&self, name: &str) -> Result<Option<ClassId>, StoreError> {
        self.read(|c| find(c, name))
    }

    /// The class of this name, as [`Store::class_by_name`] finds it, or a new one at the end of the list.
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

    /// Gives a class another name. The old one keeps finding it, so that datasets that are imported again and verdict files of other
    /// copies still do.
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
            // A class may take back a name that it had.
            tx.execute("DELETE FROM former_class_names WHERE name = ?1", [name])?;
            keep_name(tx, &old.name, class)?;
            tx.execute("UPDATE classes SET name = ?2 WHERE id = ?1", params![class.0, name])?;
            queue_index::mark_changed(tx)
        })
    }

    /// Makes everything of class `from` one of `into`: ground truth, detections, candidates and what verdicts say. The log itself stays
    /// as it is; `from` goes from the list, and its names find `into` from then on.
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
            // The row keeps its uid, which other copies' verdicts name; its name is free for another class only through `into`.
            keep_name(tx, &gone.name, into)?;
            tx.execute("UPDATE classes SET name = 'merged ' || hex(uid) WHERE id = ?1", [from.0])?;
            images.into_iter().try_for_each(|image| settle::rematch(tx, image))?;
            queue_index::mark_changed(tx)
        })
    }
}

/// The class of this name, under which it is listed or was before.
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

/// The class that another copy of the project calls `uid` and `name`; a new one where neither is known.
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

/// A class that can be given to something: listed, not merged into another one.
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

/// The images on which a merge of two classes changes how candidates lie to the ground truth.
fn images_of(tx: &Transaction<'_>, a: ClassId, b: ClassId) -> Result<Vec<ImageId>, StoreError> {
    let sql = "SELECT DISTINCT image_id FROM candidates WHERE image_id IN (
                   SELECT image_id FROM candidates WHERE class_id IN (?1, ?2)
                   UNION SELECT image_id FROM ground_truth WHERE class_id IN (?1, ?2))";
    let mut statement = tx.prepare(sql)?;
    Ok(statement.query_map([a.0, b.0], |r| r.get(0).map(ImageId))?.collect::<Result<_, _>>()?)
}

/// Blanks around a name are none of it, and a name is one line of something.
fn sound_name(name: &str) -> Result<&str, StoreError> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) || name.len() > 200 {
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
