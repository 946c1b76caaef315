//! Maps a result file's classes to the project's: by name if there is one; by number only if that is unambiguous.

use std::collections::{BTreeMap, BTreeSet};

use super::overlaps::Overlaps;
use crate::dataset::results::ClassKey;
use crate::domain::{Class, ClassId};
use crate::store::{Store, StoreError};
use crate::workflow::WorkflowError;

/// Adds the first classes to a project that has none.
type Add<'a> = dyn FnMut(&mut Store, &str) -> Result<ClassId, StoreError> + 'a;

/// What is known about the classes of the file.
#[derive(Clone, Copy)]
pub(super) struct ClassHints<'a> {
    /// Names of the file's class numbers.
    pub names: &'a BTreeMap<i64, String>,
    /// Maps names in the file to names in the project.
    pub map: &'a BTreeMap<String, String>,
    /// The user's class for all detections.
    pub only: Option<&'a str>,
    pub overlaps: &'a Overlaps,
    pub dry_run: bool,
}

/// The project's class for each class in the file.
pub(super) struct ClassFinder {
    found: BTreeMap<ClassKey, Result<ClassId, String>>,
}

impl ClassFinder {
    pub fn new(
        store: &mut Store,
        keys: &BTreeSet<&ClassKey>,
        hints: &ClassHints<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkflowError> {
        let ClassHints { names, overlaps, .. } = *hints;
        let classes = store.classes()?;
        let mut add = |store: &mut Store, name: &str| {
            if hints.dry_run { Ok(ClassId::ONLY) } else { store.add_class(name, "detections") }
        };
        let mapped = |name: &str| hints.map.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let mut found = BTreeMap::new();
        if let Some(name) = hints.only {
            if keys.len() > 1 {
                let text = format!(
                    "--class {name} is for files of one class; this one has {}: give their names with --names",
                    shown(keys)
                );
                return Err(WorkflowError::Refused(text));
            }
            let class = find(store, &classes, name)?.ok_or_else(|| WorkflowError::Refused(unknown(&classes, name)))?;
            found.extend(keys.iter().map(|key| ((*key).clone(), Ok(class))));
            return Ok(Self { found });
        }
        for key in keys {
            let class = match key {
                ClassKey::Name(name) => named(store, &classes, &mapped(name), &mut add)?,
                ClassKey::Number(number) => match names.get(number) {
                    Some(name) => named(store, &classes, &mapped(name), &mut add)?,
                    None if !names.is_empty() => Err(format!("class {number} has no name in the list of class names")),
                    None => Ok(the_only(store, &classes, keys, overlaps, &mut add, notes)?),
                },
                ClassKey::Unnamed => Ok(the_only(store, &classes, keys, overlaps, &mut add, notes)?),
            };
            found.insert((*key).clone(), class);
        }
        notes.extend(unused(hints, keys));
        Ok(Self { found })
    }

    pub fn find(&self, key: &ClassKey) -> Result<ClassId, String> {
        self.found.get(key).cloned().unwrap_or_else(|| Err("the class is not known".to_owned()))
    }
}

/// Returns the class with this name, or an error with advice. A project without classes gets the file's.
fn named(
    store: &mut Store,
    classes: &[Class],
    name: &str,
    add: &mut Add,
) -> Result<Result<ClassId, String>, StoreError> {
    match find(store, classes, name)? {
        _ if name.is_empty() => Ok(Err("of classes that were not requested".to_owned())),
        Some(class) => Ok(Ok(class)),
        None if classes.is_empty() => add(store, name).map(Ok),
        None => Ok(Err(unknown(classes, name))),
    }
}

/// The project's class of this name.
pub(super) fn find(store: &Store, classes: &[Class], name: &str) -> Result<Option<ClassId>, StoreError> {
    if let Some(exact) = store.class_by_name(name)? {
        return Ok(Some(exact));
    }
    let mut matching = classes.iter().filter(|class| class.name.eq_ignore_ascii_case(name.trim()));
    Ok(match (matching.next(), matching.next()) {
        (Some(class), None) => Some(class.id),
        _ => None,
    })
}

/// Returns a note on names in `--map` that no detection has: a misspelt one would do nothing in silence.
fn unused(hints: &ClassHints<'_>, keys: &BTreeSet<&ClassKey>) -> Option<String> {
    let has = |name: &String| {
        keys.iter().any(|key| match key {
            ClassKey::Name(own) => own == name,
            ClassKey::Number(number) => hints.names.get(number) == Some(name) || number.to_string() == *name,
            ClassKey::Unnamed => false,
        })
    };
    let unused: Vec<String> =
        hints.map.keys().filter(|name| !has(name)).take(10).map(|name| format!("`{name}`")).collect();
    (!unused.is_empty()).then(|| {
        format!(
            "--map names {}, which no detection has; the classes of the file are {}",
            unused.join(", "),
            shown(keys)
        )
    })
}

fn unknown(classes: &[Class], name: &str) -> String {
    format!("the project has no class '{name}'; it has {}", listed(classes))
}

fn listed(classes: &[Class]) -> String {
    let names: Vec<String> = classes.iter().take(10).map(|class| format!("`{}`", class.name)).collect();
    let more = if classes.len() > 10 { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

fn shown(keys: &BTreeSet<&ClassKey>) -> String {
    let text = |key: &&ClassKey| match key {
        ClassKey::Unnamed => "detections without a class".to_owned(),
        ClassKey::Number(number) => number.to_string(),
        ClassKey::Name(name) => format!("`{name}`"),
    };
    keys.iter().take(10).map(text).collect::<Vec<_>>().join(", ")
}

/// Without names, a class is only matched if each side has exactly one; numbers may be shifted against the project's.
fn the_only(
    store: &mut Store,
    classes: &[Class],
    keys: &BTreeSet<&ClassKey>,
    overlaps: &Overlaps,
    add: &mut Add,
    notes: &mut Vec<String>,
) -> Result<ClassId, WorkflowError> {
    match classes {
        [] if keys.len() == 1 => Ok(add(store, "object")?),
        [only] if keys.len() == 1 => {
            if let Some(ClassKey::Number(number)) = keys.first() {
                notes.push(format!(
                    "all detections have class {number}: taken for the project's only class `{}`",
                    only.name
                ));
            }
            Ok(only.id)
        }
        _ => {
            let numbers =
                keys.iter().filter_map(|key| if let ClassKey::Number(number) = key { Some(*number) } else { None });
            let likely = overlaps.as_map(&numbers.collect(), classes);
            let likely =
                likely.map_or(String::new(), |map| format!(" The objects that they overlap suggest --map {map}."));
            Err(WorkflowError::Refused(format!(
                "the detections have the classes {}, without names; the project has {}. Say what the numbers mean with --names FILE (data.yaml, \
                 or one name a line) or --ground-truth FILE (COCO's categories), or with --class NAME where all are of one class.{likely}",
                shown(keys),
                listed(classes)
            )))
        }
    }
}
