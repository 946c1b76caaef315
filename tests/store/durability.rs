//! A verdict acknowledged to the caller survives `kill -9`.
//!
//! The test starts itself as a child process that decides in a loop, prints a line for each committed verdict, and is killed at a random
//! moment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use quarry::domain::Verdict;
use quarry::store::{CandidateQuery, Store};

use super::project::{bb, candidate, every_image, project};

const CHILD: &str = "QUARRY_TEST_KILLED_CHILD";

#[test]
fn a_committed_verdict_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        decide_until_killed(path.as_ref());
    }
    let mut p = project();
    let image = p.store.images().unwrap()[3].id;
    let many: Vec<_> = (0..3000).map(|k| candidate(image, bb(120. + f64::from(k), 9., 9000., 30.), 0.5)).collect();
    p.store.replace_candidates(p.round, &every_image(&p.store), &many).unwrap();
    let path = p.path();
    drop(p.store);
    let mut committed = 0;
    for lines in [1, 2, 5, 20, 60, 150] {
        committed += run_and_kill(&path, lines);
        let store = Store::open(&path).unwrap();
        store.check_integrity().unwrap();
        let confirmed = store.verdict_counts(None).unwrap().confirmed;
        assert!(committed <= confirmed, "{committed} were committed, {confirmed} are left");
        // The child may have committed one more before its line arrived.
        committed = confirmed;
    }
}

/// Starts the child, kills it after `lines` lines, returns how many verdicts it reported as committed.
fn run_and_kill(path: &std::path::Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::a_committed_verdict_survives_kill_9", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = 0;
    while said < lines as u64 {
        let line = output.next().expect("the child ended by itself").unwrap();
        said += u64::from(line.starts_with("committed"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said + output.map_while(Result::ok).filter(|line| line.starts_with("committed")).count() as u64
}

fn decide_until_killed(path: &std::path::Path) -> ! {
    let mut store = Store::open(path).unwrap();
    let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
    println!();
    for id in ids {
        store.record_verdicts(&[id], "Ada", Verdict::Confirmed, None, 1).unwrap();
        println!("committed {id}");
        std::io::stdout().flush().unwrap();
    }
    panic!("nobody killed this child");
}
