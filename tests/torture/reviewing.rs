//! SIGKILL during the review: another process decides like the window and prints what was acknowledged. Once with real keys in a window
//! without a display, once with the threads behind it: groups, missed objects, undo and redo, several requests at a time.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use egui::Key;
use quarry::app::command::Screen;
use quarry::domain::{CandidateId, Shape, Verdict};
use quarry::jobs::{Annotator, VerdictWriter, WriteReply, WriteRequest, start_writer};
use quarry::store::{CandidateQuery, HistoryQuery, VerdictFilter};
use quarry::workflow::Project;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};

use crate::app_project;
use crate::scenario::{copy_folder, finished, kills, leftovers, quarry, random, store_of};
use crate::state::{check_sound, log_of};
use crate::window::{press, wait_for, window};

/// Set for the process to be killed: `keys` or `requests`, then the project.
const REVIEWER: &str = "QUARRY_TORTURE_REVIEWER";
const SEED: &str = "QUARRY_TORTURE_REVIEWER_SEED";
const ACKNOWLEDGED: &str = "acknowledged ";
/// Images and candidates of the project.
const IMAGES: u32 = 12;
const CANDIDATES: usize = 36;

/// Not a test itself: the work of the process to be killed.
#[test]
fn the_reviewer() {
    let Some(what) = std::env::var_os(REVIEWER) else { return };
    let what = what.into_string().unwrap();
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    match what.split_once(' ').unwrap() {
        ("keys", project) => press_keys(Path::new(project), seed),
        (_, project) => send_requests(&Project::open(Path::new(project)).unwrap(), seed),
    }
}

/// Returns the lines in which the process reported acknowledgements before it was killed after `moment`.
fn reviewed_until(what: &str, project: &Path, seed: u64, moment: Duration) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["reviewing::the_reviewer", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(REVIEWER, format!("{what} {}", project.display())).env(SEED, seed.to_string());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once(ACKNOWLEDGED)?.1.to_owned())).collect::<Vec<_>>()
    });
    std::thread::sleep(moment);
    assert!(child.try_wait().unwrap().is_none(), "the reviewer has ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

const KEYS: [(Key, Verdict); 3] =
    [(Key::A, Verdict::Confirmed), (Key::X, Verdict::Rejected), (Key::Space, Verdict::Skipped)];

fn keys_of(seed: u64) -> impl Iterator<Item = (Key, Verdict)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    std::iter::repeat_with(move || KEYS[random.random_range(0..KEYS.len())])
}

fn press_keys(project: &Path, seed: u64) {
    let mut window = window(Screen::Review, Some(project));
    wait_for(&mut window, &format!("1 of {CANDIDATES}"));
    println!("\n{ACKNOWLEDGED}0");
    for (k, (key, _)) in keys_of(seed).take(CANDIDATES - 1).enumerate() {
        press(&mut window, key);
        // The next candidate is shown at once, while the verdict is saved; the next key is read once it is on disk.
        wait_for(&mut window, &format!("{} of {CANDIDATES}", k + 2));
        println!("\n{ACKNOWLEDGED}{}", k + 1);
    }
    std::thread::sleep(Duration::from_mins(1));
}

#[test]
fn a_killed_window_has_lost_no_verdict_but_the_one_that_was_being_saved() {
    let root = tempfile::tempdir().unwrap();
    let base = app_project::make(root.path(), IMAGES, 1);
    drop(base.open_store().unwrap());
    let mut random = random("window");
    let queue = base.open_store_to_read().unwrap().candidate_ids(&CandidateQuery::default()).unwrap();
    let (wanted, mut shown) = (kills((3, 10)), 0);
    for n in 0..wanted {
        let dir = root.path().join(format!("killed-{n}"));
        copy_folder(base.dir(), &dir);
        let seed = random.random();
        let moment = Duration::from_millis(random.random_range(800..4000));
        let acknowledged: usize =
            reviewed_until("keys", &dir, seed, moment).last().map_or(0, |last| last.parse().unwrap());
        shown += acknowledged;
        // As the kill left it, before anything opens it.
        let as_killed = root.path().join("as-killed");
        let _ = std::fs::remove_dir_all(&as_killed);
        copy_folder(&dir, &as_killed);
        let project = Project::open(&dir).unwrap();
        check_sound(&project, &BTreeSet::new());
        let mut log = store_of(&dir).history(&HistoryQuery::default(), 1000).unwrap();
        log.reverse();
        let found: Vec<_> = log.iter().map(|e| (e.record.candidate, e.record.verdict)).collect();
        let pressed = queue.iter().copied().zip(keys_of(seed).map(|(_, verdict)| Some(verdict)));
        assert_eq!(found, pressed.take(found.len()).collect::<Vec<_>>());
        // All before the last one that was shown; the kill may also come after the next key was handled.
        if !(acknowledged.saturating_sub(1)..=acknowledged + 1).contains(&found.len()) {
            let kept = root.keep();
            panic!(
                "{acknowledged} shown as given, {} found; see as-killed and killed-{n} in {}",
                found.len(),
                kept.display()
            );
        }
        finished(quarry("group", &project));
        assert_eq!(leftovers(&dir), Vec::<String>::new());
    }
    println!("TORTURE window: {wanted} kills, {shown} verdicts shown: none lost but those that were being saved");
}

fn any<T: Clone>(random: &mut impl Rng, of: &[T]) -> T {
    of[random.random_range(0..of.len())].clone()
}

/// Returns a random request of an annotator.
pub fn request(random: &mut impl Rng, project: &Project, ids: &[CandidateId]) -> WriteRequest {
    let by = Annotator { name: any(random, &["Ada", "Grace"]).to_owned(), blind: false };
    let verdict = any(random, &[Verdict::Confirmed, Verdict::Rejected, Verdict::Skipped]);
    match random.random_range(0..20) {
        0..3 => WriteRequest::Undo { by },
        3 => WriteRequest::Redo { by },
        4 => WriteRequest::DecideQuery {
            query: Box::new(CandidateQuery {
                verdict: VerdictFilter::Any,
                image_name: format!("scene_{:04}", random.random_range(0..IMAGES)),
                collapse: false,
                ..CandidateQuery::default()
            }),
            verdict,
            class: None,
            reason: None,
            by,
        },
        5 => {
            let candidate = any(random, ids);
            let shape = Shape::Rectangle(store_of(project.dir()).candidate(candidate).unwrap().bbox);
            WriteRequest::MissedObject { candidate, shape, class: None, by }
        }
        6 => WriteRequest::Setting { name: "seen", value: random.random_range(0..100).to_string() },
        _ => {
            let count = any(random, &[1, 1, 1, 1, 3, 9]);
            let first = random.random_range(0..ids.len());
            let candidates = ids[first..(first + count).min(ids.len())].to_vec();
            WriteRequest::Decide { candidates, groups: vec![], verdict, class: None, reason: None, by }
        }
    }
}

fn send_requests(project: &Project, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let ids = store_of(project.dir()).candidate_ids(&all).unwrap();
    let mut writer: VerdictWriter = start_writer(project.database(), Arc::new(|| {})).unwrap();
    println!();
    loop {
        while writer.open_requests() < 3 {
            writer.ask(request(&mut random, project, &ids));
        }
        let answer = writer.wait(Duration::from_mins(1)).expect("an answer").result.expect("it is written");
        if let WriteReply::Verdict(written) = answer
            && let Some(gesture) = written.gesture
        {
            let candidates: Vec<String> = gesture.candidates.iter().map(|id| id.0.to_string()).collect();
            let (action, verdict) = (gesture.action.as_str(), gesture.verdict.map_or("", |verdict| verdict.as_str()));
            println!("{ACKNOWLEDGED}{} {action} {verdict} {}", gesture.id, candidates.join(","));
        }
    }
}

/// Fails if the database does not contain a gesture as acknowledged.
fn check_gesture(database: &Connection, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [id, action, verdict, candidates] = words[..] else { panic!("{line}") };
    let found: String = database
        .query_row("SELECT action FROM gestures WHERE id = ?1", [id], |row| row.get(0))
        .unwrap_or_else(|error| panic!("lost: {line}: {error}"));
    assert_eq!(found, action, "{line}");
    let mut rows = database
        .prepare_cached("SELECT candidate_id, verdict FROM verdicts WHERE gesture_id = ?1 ORDER BY candidate_id")
        .unwrap();
    let rows = rows.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))).unwrap();
    let rows: Vec<(i64, Option<String>)> = rows.map(Result::unwrap).collect();
    let mut expected: Vec<i64> =
        candidates.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), expected, "{line}");
    let is_given = action != "undo";
    assert!(!is_given || rows.iter().all(|row| row.1.as_deref() == Some(verdict)), "{line}: {rows:?}");
}

#[test]
fn a_killed_writer_has_lost_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), IMAGES, 1);
    let mut random = random("writer");
    let (wanted, mut acknowledged) = (kills((5, 12)), Vec::new());
    for _ in 0..wanted {
        let (seed, moment) = (random.random(), Duration::from_millis(random.random_range(300..2500)));
        acknowledged.extend(reviewed_until("requests", project.dir(), seed, moment));
        check_sound(&project, &BTreeSet::new());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Connection::open_with_flags(project.database(), flags).unwrap();
        for line in &acknowledged {
            check_gesture(&database, line);
        }
    }
    finished(quarry("group", &project));
    assert_eq!(leftovers(project.dir()), Vec::<String>::new());
    let rows = log_of(project.dir()).len();
    assert!(acknowledged.len() > 4, "only {} gestures", acknowledged.len());
    println!("TORTURE writer: {wanted} kills, {} gestures acknowledged, {rows} rows: nothing lost", acknowledged.len());
}
