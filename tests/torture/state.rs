//! A project's content as text to compare, and invariants of every database: the log is complete and everything else is derived from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use quarry::store::{CandidateQuery, StoreError, VerdictFilter};
use quarry::workflow::Project;
use rusqlite::Connection;

use crate::scenario::{files_below, finished, quarry, store_of};

/// The verdict log, one line per row.
pub fn log_of(project: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let store = store_of(project);
    store
        .export_verdicts(|line| {
            lines.insert(serde_json::to_string(line).unwrap());
            Ok::<(), StoreError>(())
        })
        .unwrap();
    lines
}

/// Fails if the database is damaged, inconsistent, cannot be opened by a command, or lacks one of these log lines.
pub fn check_sound(project: &Project, acknowledged: &BTreeSet<String>) {
    let store = project.open_store_to_read().unwrap();
    store.check_integrity().unwrap();
    let found = log_of(project.dir());
    let lost: Vec<&String> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "{} verdicts are lost, the first: {}", lost.len(), lost[0]);
    check_consistent(&project.database());
    finished(quarry("status", project));
}

/// Inconsistencies, each a query that counts them.
const CONTRADICTIONS: [(&str, &str); 5] = [
    ("SQLite's own check", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
    ("a reference to nothing", "SELECT count(*) FROM pragma_foreign_key_check"),
    (
        "an annotator's verdict that is not the newest of the log",
        "SELECT count(*) FROM (
             SELECT candidate_id, annotator_id, verdict, max(seq) FROM verdicts GROUP BY 1, 2
         ) v LEFT JOIN standing_verdicts s USING (candidate_id, annotator_id) WHERE v.verdict IS NOT s.verdict",
    ),
    (
        "a candidate without a verdict that has one",
        "SELECT count(*) FROM candidates c WHERE (c.verdict IS NULL)
             <> NOT EXISTS (SELECT 1 FROM standing_verdicts s WHERE s.candidate_id = c.id)",
    ),
    (
        "a missed object that was not promoted",
        "SELECT (SELECT count(*) FROM candidates WHERE verdict = 'missed_object')
             <> (SELECT count(*) FROM ground_truth WHERE source = 'promoted')",
    ),
];

/// Checks a copy, so that the next command finds the original unchanged.
fn check_consistent(database: &Path) {
    let dir = tempfile::tempdir().unwrap();
    for ending in ["", "-wal", "-journal"] {
        let name = format!("quarry.db{ending}");
        if database.with_file_name(&name).exists() {
            std::fs::copy(database.with_file_name(&name), dir.path().join(&name)).unwrap();
        }
    }
    let connection = Connection::open(dir.path().join("quarry.db")).unwrap();
    for (what, count) in CONTRADICTIONS {
        let found: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 0, "{what}");
    }
}

/// Datasets, images and objects.
pub fn data(project: &Project) -> String {
    let store = store_of(project.dir());
    let truth = store.ground_truth_by_image().unwrap();
    let mut text = String::new();
    for dataset in store.datasets().unwrap() {
        writeln!(text, "{} {}", dataset.name, dataset.kind).unwrap();
    }
    for class in store.classes().unwrap() {
        writeln!(text, "class {}", class.name).unwrap();
    }
    let mut images: Vec<String> = Vec::new();
    for image in store.images().unwrap() {
        let objects = truth.get(&image.id).into_iter().flatten().map(|(_, object)| format!("{object:?}"));
        let mut objects: Vec<String> = objects.collect();
        objects.sort();
        images.push(format!("{} {} {:?} {objects:?}", image.path, image.content_hash, image.split));
    }
    images.sort();
    text + &images.join("\n")
}

/// Rounds, and every candidate with its verdict and the candidates of its group.
pub fn candidates(project: &Project) -> String {
    let store = store_of(project.dir());
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&all).unwrap();
    let rows = store.candidate_rows(&ids).unwrap();
    let place = |row: &quarry::store::CandidateRow| {
        let c = &row.candidate;
        let bits = [c.bbox.x1, c.bbox.y1, c.bbox.x2, c.bbox.y2].map(f64::to_bits);
        format!("{} {} {bits:x?} {:x} {:?}", row.round_number, row.image_name, c.score.to_bits(), c.kind)
    };
    let mut groups: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        groups.entry(row.group).or_default().insert(place(row));
    }
    let groups: BTreeSet<_> = groups.into_iter().map(|(group, members)| (group.is_some(), members)).collect();
    let verdicts: BTreeSet<String> =
        rows.iter().map(|row| format!("{} {:?}", place(row), row.candidate.verdict)).collect();
    let rounds: Vec<String> = store
        .rounds()
        .unwrap()
        .iter()
        .map(|r| format!("{} {:?} {}", r.number, r.state, store.count_detections(r.id).unwrap()))
        .collect();
    format!("{rounds:?}\n{verdicts:#?}\n{groups:#?}")
}

/// The files below `folder` by name with a hash of their bytes, except those with these names.
pub fn files(folder: &Path, without: &[&str]) -> String {
    let mut text = String::new();
    for path in files_below(folder).into_iter().filter(|path| path.is_file()) {
        if !without.iter().any(|name| path.ends_with(name)) {
            let hash = blake3::hash(&std::fs::read(&path).unwrap());
            writeln!(text, "{} {}", path.strip_prefix(folder).unwrap().display(), hash.to_hex()).unwrap();
        }
    }
    text
}
