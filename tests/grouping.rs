//! Groups from outside: over rounds, over thresholds, with photographs that are gone.
#![allow(clippy::unwrap_used)]

#[path = "support/app_project.rs"]
mod app_project;

use quarry::domain::{Cancel, Verdict};
use quarry::store::{CandidateQuery, Store, VerdictFilter};
use quarry::workflow::group::{GroupReport, distance, group};

fn grouped(store: &mut Store, most_distance: Option<u32>) -> GroupReport {
    group(store, most_distance, &mut |_| {}, &Cancel::new()).unwrap()
}

#[test]
fn the_same_region_of_two_rounds_is_one_group_and_verdicts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 2);
    let mut store = project.open_store().unwrap();
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&all).unwrap();
    store.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, 1).unwrap();
    let report = grouped(&mut store, Some(0));
    assert_eq!((report.candidates, report.alike, report.unread), (24, 24, 0));
    for row in store.candidate_rows(&ids).unwrap() {
        let members = store.group_members(row.group.unwrap()).unwrap();
        assert_eq!(members.len() as u32, row.group_size);
        let rows = store.candidate_rows(&members).unwrap();
        let here = |round| rows.iter().any(|r| r.round_number == round && r.candidate.bbox == row.candidate.bbox);
        assert!(here(1) && here(2), "{rows:?}");
    }
    assert_eq!(store.verdict_counts(None).unwrap().rejected, 1);
    let row = store.candidate_row(ids[0]).unwrap();
    let waiting = store.undecided_of_group(row.group.unwrap(), None).unwrap();
    assert_eq!(waiting.len() as u32, row.group_size - 1);
    assert!(!waiting.contains(&ids[0]));
    let for_grace = store.undecided_of_group(row.group.unwrap(), Some("Grace")).unwrap();
    assert_eq!(for_grace.len() as u32, row.group_size);
}

#[test]
fn another_distance_is_kept_and_reads_no_photograph_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut store = project.open_store().unwrap();
    assert_eq!(grouped(&mut store, None).unread, 0);
    std::fs::remove_dir_all(dir.path().join("pictures")).unwrap();
    let (strict, loose) = (grouped(&mut store, Some(0)), grouped(&mut store, Some(16)));
    assert!(strict.alike <= loose.alike && 0 < loose.alike, "{strict} {loose}");
    assert_eq!((strict.unread, loose.unread), (0, 0));
    assert_eq!(distance(&project.open_store().unwrap()).unwrap(), 16);
    assert_eq!(grouped(&mut store, None), loose);
    assert_eq!(grouped(&mut store, Some(99)).distance, 16);
}

#[test]
fn a_photograph_that_is_gone_is_told_and_grouped_by_region() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    std::fs::remove_file(dir.path().join("pictures/scene_0001.png")).unwrap();
    let mut told = Vec::new();
    let mut store = project.open_store().unwrap();
    let report = group(&mut store, Some(0), &mut |event| told.push(format!("{event:?}")), &Cancel::new()).unwrap();
    assert_eq!((report.unread, report.alike), (6, 12));
    assert!(told.iter().any(|text| text.contains("scene_0001.png")), "{told:?}");
    assert!(report.to_string().contains("the photographs of 6 could not be read"));
}

#[test]
fn a_grouping_that_is_stopped_changes_no_group() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let cancel = Cancel::new();
    cancel.cancel();
    let mut store = project.open_store().unwrap();
    assert!(group(&mut store, None, &mut |_| {}, &cancel).is_err());
    assert!(store.candidate_looks().unwrap().iter().all(|c| c.look.is_none()));
}
