//! The trace of each candidate over the rounds of its model, from the rounds' boxes on an image.

use std::collections::HashMap;

use rusqlite::Connection;

use super::StoreError;
use super::columns::bounding_box;
use super::identity::TWIN_IOU;
use super::queue_entry::Entry;
use crate::domain::RoundState;
use crate::geometry::BoundingBox;

/// The origin of a candidate. The same candidate in two rounds: one image and class, IoU >= 0.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// No earlier round of its model had it, or this is the first round.
    New,
    /// The previous round had it.
    Persists,
    /// An earlier round had it, but not the previous one.
    Back,
}

/// What happened to a candidate after its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No later round of its model has been mined.
    Open,
    /// No later round has it.
    Gone,
    /// The next round has it.
    Persists,
    /// The next round does not have it, but a later one does.
    ComesBack,
}

impl Origin {
    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Persists => "persists",
            Self::Back => "returned",
        }
    }
}

impl Fate {
    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Gone => "gone",
            Self::Persists => "persists",
            Self::ComesBack => "returns",
        }
    }
}

/// A candidate's origin and fate over the rounds of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub origin: Origin,
    pub fate: Fate,
}

/// Which traces a query accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TraceFilter {
    Any,
    Origin(Origin),
    Fate(Fate),
}

impl TraceFilter {
    pub fn passes(self, trace: Trace) -> bool {
        match self {
            Self::Any => true,
            Self::Origin(origin) => trace.origin == origin,
            Self::Fate(fate) => trace.fate == fate,
        }
    }
}

/// Returns the index of each mined round among those of its model, and the model's number of rounds.
fn places(c: &Connection) -> Result<HashMap<u32, (String, usize)>, StoreError> {
    let sql = "SELECT id, model FROM rounds WHERE state = ?1 ORDER BY model_round";
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([RoundState::Mined.as_str()])?;
    let (mut places, mut counts) = (HashMap::new(), HashMap::<String, usize>::new());
    while let Some(row) = rows.next()? {
        let (id, model): (u32, String) = (row.get(0)?, row.get(1)?);
        let next = counts.entry(model.clone()).or_default();
        places.insert(id, (model, *next));
        *next += 1;
    }
    Ok(places)
}

/// Model, image and class -> the round's index and the entry.
type Spots<'a> = HashMap<(&'a str, u32, u32), Vec<(usize, usize)>>;

/// Returns the trace of each of `entries`, which must be all candidates by id.
pub(super) fn of_all(c: &Connection, entries: &[Entry]) -> Result<Vec<Trace>, StoreError> {
    let places = places(c)?;
    let boxes = boxes(c)?;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (model, place) in places.values() {
        let count = counts.entry(model).or_default();
        *count = (place + 1).max(*count);
    }
    let mut spots: Spots<'_> = HashMap::new();
    for (at, e) in entries.iter().enumerate() {
        if let Some((model, place)) = places.get(&e.round) {
            spots.entry((model, e.image, e.class)).or_default().push((*place, at));
        }
    }
    let mut traces = vec![Trace { origin: Origin::New, fate: Fate::Open }; entries.len()];
    for ((model, ..), here) in &spots {
        let last = counts.get(model).map_or(0, |count| count - 1);
        for (place, at) in here {
            let bbox = boxes.get(&entries[*at].id);
            let is_same =
                |other: usize| bbox.zip(boxes.get(&entries[other].id)).is_some_and(|(a, b)| a.iou(b) >= TWIN_IOU);
            let found = |wanted: &dyn Fn(usize) -> bool| {
                here.iter().any(|(other_place, other)| wanted(*other_place) && is_same(*other))
            };
            traces[*at].origin = if *place > 0 && found(&|other| other + 1 == *place) {
                Origin::Persists
            } else if found(&|other| other + 1 < *place) {
                Origin::Back
            } else {
                Origin::New
            };
            traces[*at].fate = if *place == last {
                Fate::Open
            } else if found(&|other| other == place + 1) {
                Fate::Persists
            } else if found(&|other| other > place + 1) {
                Fate::ComesBack
            } else {
                Fate::Gone
            };
        }
    }
    Ok(traces)
}

fn boxes(c: &Connection) -> Result<HashMap<i64, BoundingBox>, StoreError> {
    let mut statement = c.prepare("SELECT id, x1, y1, x2, y2 FROM candidates")?;
    let rows = statement.query_map([], |r| Ok((r.get(0)?, bounding_box(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
