//! A project of the first version (tests/fixtures/old_project) opens with all of its content.

// A failure here is a failure of the test.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use quarry::domain::{
    AnnotationSource, CandidateId, FalsePositiveKind, HardNegativeSource, Output, RoundState, Shape, Verdict,
    VerdictCounts,
};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, HistoryQuery, Store, VerdictFilter, VerdictLine};
use quarry::training::RoundConfig;
use quarry::workflow::verdicts;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old_project")
}

fn copied(dir: &Path) -> PathBuf {
    let path = dir.join("quarry.db");
    std::fs::copy(fixture().join("quarry.db"), &path).unwrap();
    path
}

fn all() -> CandidateQuery {
    CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() }
}

/// Everything that the old program's own output reported, and its tables.
fn check_contents(store: &Store) {
    let classes: Vec<(i64, String)> = store.classes().unwrap().into_iter().map(|c| (c.id.0, c.name)).collect();
    assert_eq!(classes, [(1, "face".to_owned())]);
    assert_eq!(store.images().unwrap().len(), 16);
    assert_eq!(store.datasets().unwrap().len(), 2);
    let rounds = store.rounds().unwrap();
    let states: Vec<(u32, RoundState)> = rounds.iter().map(|r| (r.number, r.state)).collect();
    assert_eq!(states, [(1, RoundState::Mined), (2, RoundState::Trained), (3, RoundState::Stopped)]);
    let counts = VerdictCounts {
        undecided: 90,
        decisions: 87,
        confirmed: 15,
        rejected: 8,
        missed_object: 3,
        wrong_class: 0,
        skipped: 4,
        ..VerdictCounts::default()
    };
    assert_eq!(store.verdict_counts(None).unwrap(), counts);
    let of_kind = |kind| store.count_candidates(&CandidateQuery { kind: Some(kind), ..all() }).unwrap();
    assert_eq!(FalsePositiveKind::ALL.map(of_kind), [69, 51, 0, 0, 0]);
    assert_eq!(store.count_detections(rounds[0].id).unwrap(), 120);
    assert_eq!(store.candidate_features().unwrap().len(), 120);
    assert!(store.candidate_hashes().unwrap().iter().all(|candidate| candidate.hashes.is_some()));
    assert_eq!(rounds.iter().map(|r| store.curves(r.id).unwrap().len()).sum::<usize>(), 24);
    assert_eq!(rounds.iter().map(|r| store.metrics(r.id).unwrap().len()).sum::<usize>(), 568);
    assert_eq!(store.setting("group_distance").unwrap().as_deref(), Some("6"));

    let truth = store.all_ground_truth().unwrap();
    let objects = || truth.values().flatten();
    assert_eq!((objects().count(), store.count_ground_truth().unwrap()), (17, 17));
    let promoted = objects().filter(|o| o.source == AnnotationSource::Promoted);
    let drawn: Vec<Shape> = promoted.map(|o| o.shape).collect();
    assert_eq!(drawn.len(), 3);
    let rectangle = Shape::Rectangle(BoundingBox::new(38.0, 14.0, 54.0, 34.0));
    assert!(drawn.contains(&rectangle), "{drawn:?}");
    assert_eq!(store.own_ground_truth().unwrap().values().map(Vec::len).sum::<usize>(), 14);

    assert_eq!(store.annotators().unwrap(), ["Ada", "Ben"]);
    assert_eq!(store.history(&HistoryQuery::default(), 1000).unwrap().len(), 41);
    let missed = HistoryQuery { verdict: Some(Verdict::MissedObject), ..HistoryQuery::default() };
    assert_eq!(store.history(&missed, 1000).unwrap().len(), 4);
    let hard = store.hard_negatives(HardNegativeSource::Confirmed, 2).unwrap();
    assert_eq!(hard.values().flatten().count(), 15);
}

#[test]
fn everything_is_there_after_the_migration() {
    let dir = tempfile::tempdir().unwrap();
    let path = copied(dir.path());
    let mut store = Store::open(&path).unwrap();
    check_contents(&store);
    store.check_integrity().unwrap();
    assert_eq!(store.backups().len(), 1, "a copy from before");

    let file = dir.path().join("log.jsonl");
    assert_eq!(
        verdicts::export(&store, Output::new(&file, true)).unwrap(),
        42,
        "with the one that waits for its candidate"
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<VerdictLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line.format == 2), "{text}");
    let named = lines.iter().filter(|line| line.class.as_ref().is_some_and(|class| class.name == "face"));
    assert_eq!(named.count(), 4);
    assert!(!text.contains("missed_face"));

    // Undo works across the migration, back to the very first decision.
    let mut undone = 0;
    while store.undo("Ada", 2_000_000_000_000 + undone).unwrap().is_some() {
        undone += 1;
    }
    assert_eq!(undone, 20);
    let counts = store.verdict_counts_of(None, Some("Ada")).unwrap();
    assert_eq!((counts.confirmed, counts.rejected, counts.missed_object), (0, 0, 0));
    assert_eq!(store.count_ground_truth().unwrap(), 15, "Ben's missed object stays");
    while store.redo("Ada", 2_000_000_001_000).unwrap().is_some() {}
    // What the old program undid last can be redone too, and on two candidates Ada's verdict is newer than Ben's now.
    check_counts(&store, (89, 17, 7));
}

fn check_counts(store: &Store, (undecided, confirmed, rejected): (u64, u64, u64)) {
    let counts = VerdictCounts {
        undecided,
        // Two candidates of each of three groups are left.
        decisions: undecided - 3,
        confirmed,
        rejected,
        missed_object: 3,
        wrong_class: 0,
        skipped: 4,
        ..VerdictCounts::default()
    };
    assert_eq!(store.verdict_counts(None).unwrap(), counts);
    assert_eq!(store.count_ground_truth().unwrap(), 17);
}

#[test]
fn it_can_be_read_without_being_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = copied(dir.path());
    let before = std::fs::read(&path).unwrap();
    check_contents(&Store::open_read_only(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(!dir.path().join("backups").exists());
}

#[test]
fn ids_of_candidates_go_on_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&copied(dir.path())).unwrap();
    let image = store.images().unwrap()[0].id;
    let round = store.rounds().unwrap()[1].id;
    let new = quarry::store::NewCandidate {
        image,
        class: store.classes().unwrap()[0].id,
        bbox: BoundingBox::new(1.0, 1.0, 9.0, 9.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    store.replace_candidates(round, &[image], &[new]).unwrap();
    let of_round = CandidateQuery { round: Some(round), ..all() };
    assert_eq!(store.candidate_ids(&of_round).unwrap(), [CandidateId(121)]);
}

#[test]
fn verdict_files_of_the_first_version_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&copied(dir.path())).unwrap();
    let file = fixture().join("verdicts.jsonl");
    let again = verdicts::merge(&mut store, &file).unwrap();
    assert_eq!((again.added, again.known), (0, 41), "the log holds these rows");
    check_counts(&store, (90, 15, 8));
}

#[test]
fn settings_of_its_rounds_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&copied(dir.path())).unwrap();
    for round in store.rounds().unwrap() {
        let config = RoundConfig::from_stored(&round.config_toml, "round").unwrap();
        assert!(config.tests_on(Some("8")) && !config.trains_on(Some("8")), "{:?}", config.test_splits);
        assert_eq!(config.detector.class_names(), ["face"]);
    }
    let written = std::fs::read_to_string(fixture().join("round.toml")).unwrap();
    RoundConfig::from_toml(&written, "round.toml").unwrap();
}

/// Returns the migrations in order: names and texts.
fn migrations() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|file| (named(file), std::fs::read_to_string(file).unwrap())).collect()
}

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schemas")
}

/// A database as left by programs of format `version`, with rows of every format until then.
fn database_of(version: usize, path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for (k, (_, sql)) in (1..=version).zip(migrations()) {
        connection.execute_batch(&sql).unwrap();
        if let Ok(rows) = std::fs::read_to_string(schemas().join(format!("rows_{k}.sql"))) {
            connection.execute_batch(&rows).unwrap();
        }
    }
    connection.pragma_update(None, "user_version", version as i64).unwrap();
    connection.pragma_update(None, "application_id", 0x5172_7931).unwrap();
}

/// Formats the whole verdict log in terms common to all formats.
fn log_of(path: &Path) -> Vec<(String, String, String, String, i64)> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT hex(v.uid), hex(c.uid), a.name, coalesce(v.verdict, 'none') || coalesce(', ' || v.reason, '') \
               || coalesce(', ' || v.shape || v.a || ' ' || v.b || ' ' || v.c || ' ' || v.d, ''), v.tick \
               FROM verdicts v JOIN candidates c ON c.id = v.candidate_id JOIN annotators a ON a.id = v.annotator_id ORDER BY v.seq";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get::<_, String>(3)?, r.get(4)?)));
    let rows = rows.unwrap().map(Result::unwrap);
    rows.map(|(uid, candidate, name, said, tick)| {
        (uid, candidate, name, said.replace("missed_face", "missed_object"), tick)
    })
    .collect()
}

#[test]
fn every_earlier_format_opens_with_all_its_verdicts() {
    for version in 1..=migrations().len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarry.db");
        database_of(version, &path);
        let log = log_of(&path);
        assert_eq!(log.len(), if version < 6 { 6 } else { 7 }, "format {version}");
        let bytes = std::fs::read(&path).unwrap();
        let counts = VerdictCounts {
            undecided: 1,
            decisions: 1,
            estimated: 0,
            inherited: 0,
            confirmed: 1,
            rejected: 1,
            missed_object: 1,
            wrong_class: u64::from(version >= 6),
            skipped: 1,
        };
        let check = |store: &Store, how: &str| {
            assert_eq!(store.verdict_counts(None).unwrap(), counts, "format {version}, {how}");
            assert_eq!(store.count_ground_truth().unwrap(), 2, "format {version}, {how}");
            assert_eq!(store.annotators().unwrap(), ["Ada", "Ben"], "format {version}, {how}");
            assert_eq!(store.rounds().unwrap().len(), if version < 8 { 1 } else { 2 }, "format {version}, {how}");
        };
        check(&Store::open_read_only(&path).unwrap(), "only read");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "format {version} is changed by reading");
        let mut store = Store::open(&path).unwrap();
        check(&store, "opened");
        store.check_integrity().unwrap();
        assert_eq!(
            store.backups().len(),
            usize::from(version < migrations().len()),
            "format {version}: a copy from before"
        );
        // Ada's last effective decision is undone, across the migration.
        store.undo("Ada", 2_000_000_000_000).unwrap().unwrap();
        assert_eq!(store.verdict_counts(None).unwrap().missed_object, 0, "format {version}");
        drop(store);
        assert_eq!(log_of(&path)[..log.len()], log, "format {version}: the log is kept and only grows");
    }
}

#[test]
fn migrations_that_have_landed_are_never_edited() {
    let known = std::fs::read_to_string(schemas().join("migrations.txt")).unwrap();
    let files = migrations();
    for line in known.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let (_, text) = files.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("{name} is gone"));
        let found: Vec<String> = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found.concat(), sum, "{name} was edited after it landed: databases that have run it would differ");
    }
}
