//! Resolves class numbers: as the numbers of a list of names, or as its classes counted from 0 or from 1. If more than one reading fits, the
//! annotated objects that the detections overlap decide; if these are too few, the user is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::DetectionsRequest;
use super::classes::find;
use super::overlaps::Overlaps;
use crate::dataset::results::ClassKey;
use crate::domain::ClassId;
use crate::store::Store;
use crate::workflow::WorkflowError;

/// How the numbers of a file refer to a list of class names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassNumbers {
    /// The list's own numbers.
    Listed,
    /// The list's first class is 0, whatever its own number.
    From0,
    /// The list's first class is 1.
    From1,
}

/// Minimum number of detections on objects as evidence of shifted numbers.
const MATCHES_MIN: usize = 10;
/// Names of a list's background class, which is not counted.
const BACKGROUND: [&str; 3] = ["background", "__background__", "_background_"];

/// A reading of the file's numbers, and how well it fits.
struct Reading {
    numbers: ClassNumbers,
    names: BTreeMap<i64, String>,
    /// Whether all numbers of the file have a name.
    fits: bool,
    /// Number of detections on an object of their class under this reading.
    agree: usize,
}

/// Returns the name of each class number: the user's, otherwise the list's. `counts_from_0`: the format numbers classes like its lists.
pub(super) fn names_of_numbers(
    store: &Store,
    request: &DetectionsRequest,
    keys: &BTreeSet<&ClassKey>,
    list: BTreeMap<i64, String>,
    counts_from_0: bool,
    overlaps: &Overlaps,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<i64, String>, WorkflowError> {
    let number = |key: &&ClassKey| if let ClassKey::Number(number) = key { Some(*number) } else { None };
    let said: BTreeMap<i64, String> = keys
        .iter()
        .filter_map(number)
        .filter_map(|number| {
            let name = request.class_names.get(&number).or_else(|| request.map.get(&number.to_string()))?;
            Some((number, name.clone()))
        })
        .collect();
    let used: BTreeSet<i64> = keys.iter().filter_map(number).filter(|number| !said.contains_key(number)).collect();
    let classes = store.classes()?;
    let class_of = |name: &str| {
        let name = request.map.get(name).map_or(name, String::as_str);
        find(store, &classes, name).ok().flatten()
    };
    let mut names = match request.class_numbers {
        Some(said) => read_as(said, &list),
        // Nothing is ambiguous if the user named every number, or if there is only one class.
        None if used.is_empty() || list.is_empty() || request.class.is_some() => list,
        None => decide(&used, &list, counts_from_0, overlaps, class_of, notes)?,
    };
    names.extend(said);
    Ok(names)
}

fn decide(
    used: &BTreeSet<i64>,
    list: &BTreeMap<i64, String>,
    counts_from_0: bool,
    overlaps: &Overlaps,
    class_of: impl Fn(&str) -> Option<ClassId>,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<i64, String>, WorkflowError> {
    let reading = |numbers: ClassNumbers| {
        let names = read_as(numbers, list);
        let agree = |number: &i64| Some(overlaps.of(*number, class_of(names.get(number)?)?));
        let agree = used.iter().filter_map(agree).sum();
        Reading { numbers, fits: used.iter().all(|number| names.contains_key(number)), names, agree }
    };
    let listed = reading(ClassNumbers::Listed);
    let meant = |names: &BTreeMap<i64, String>| -> Vec<Option<String>> {
        used.iter().map(|number| names.get(number).cloned()).collect()
    };
    let is_other = |reading: &Reading| reading.fits && meant(&reading.names) != meant(&listed.names);
    let others: Vec<Reading> =
        [ClassNumbers::From0, ClassNumbers::From1].map(reading).into_iter().filter(is_other).collect();
    if others.is_empty() || (listed.fits && counts_from_0) {
        return Ok(listed.names);
    }
    let all: usize = used.iter().map(|number| overlaps.on_any(*number)).sum();
    let most_of = |but: ClassNumbers| {
        let rest = std::iter::once(&listed).chain(&others).filter(|reading| reading.numbers != but);
        rest.map(|reading| reading.agree).max().unwrap_or(0)
    };
    let is_shown = |reading: &Reading| {
        reading.agree >= MATCHES_MIN && reading.agree * 2 >= all && reading.agree >= 2 * most_of(reading.numbers)
    };
    // If every number has a name, they are questioned only if the objects disagree or give no evidence.
    let is_listed = is_shown(&listed) || (listed.fits && listed.agree > most_of(ClassNumbers::Listed));
    if is_listed {
        return Ok(listed.names);
    }
    match others.iter().find(|reading| is_shown(reading)) {
        Some(shown) => {
            notes.push(format!(
                "class numbers count from {} here, although the list of names has {}: {} of {all} detections on annotated objects \
                 match their class that way, {} with the list's numbers. --class-numbers listed keeps the list's",
                i64::from(shown.numbers == ClassNumbers::From1),
                ends(list.keys()),
                shown.agree,
                listed.agree,
            ));
            Ok(shown.names.clone())
        }
        None => Err(WorkflowError::Refused(question(used, list, &listed, &others))),
    }
}

fn question(used: &BTreeSet<i64>, list: &BTreeMap<i64, String>, listed: &Reading, others: &[Reading]) -> String {
    let first = used.first().copied().unwrap_or_default();
    let option = |reading: &Reading| {
        let what = reading.names.get(&first).map_or_else(|| "has no name".to_owned(), |name| format!("is `{name}`"));
        let word = match reading.numbers {
            ClassNumbers::Listed => "listed",
            ClassNumbers::From0 => "from-0",
            ClassNumbers::From1 => "from-1",
        };
        format!("{first} {what} with --class-numbers {word}")
    };
    let options: Vec<String> = std::iter::once(listed).chain(others).map(option).collect();
    format!(
        "class numbers may be shifted: the file has {}, the list of names {}, and too few detections lie on annotated objects to tell. Say what \
         they mean: {} (in the window, choose each class).",
        ends(used.iter()),
        ends(list.keys()),
        options.join(", ")
    )
}

/// `1 to 80`.
fn ends<'a>(mut numbers: impl DoubleEndedIterator<Item = &'a i64>) -> String {
    match (numbers.next(), numbers.next_back()) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (Some(only), None) => only.to_string(),
        (None, _) => "none".to_owned(),
    }
}

/// Returns the names by the file's numbers.
fn read_as(numbers: ClassNumbers, list: &BTreeMap<i64, String>) -> BTreeMap<i64, String> {
    let first = match numbers {
        ClassNumbers::Listed => return list.clone(),
        ClassNumbers::From0 => 0,
        ClassNumbers::From1 => 1,
    };
    let is_background = |name: &str| BACKGROUND.iter().any(|background| name.eq_ignore_ascii_case(background));
    let classes = list.values().enumerate().filter(|(at, name)| *at > 0 || !is_background(name));
    (first..).zip(classes.map(|(_, name)| name.clone())).collect()
}
