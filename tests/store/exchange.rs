//! Copies of a project that are reviewed apart and brought together.

use quarry::domain::{CandidateId, FaceShape, Verdict};
use quarry::geometry::Ellipse;
use quarry::store::{CandidateQuery, Sort, Store, VerdictFilter};
use quarry::workflow::verdicts::{agreement, export, merge, precision};

use super::project::{Project, bb, candidate, project};

/// The project with one shared verdict, and a copy of it.
fn copies() -> (Project, Store) {
    let mut p = project();
    let first = p.candidates()[0];
    p.store.record_verdicts(&[first], "Ada", Verdict::Skipped, None, 1).unwrap();
    let copy = p.dir.path().join("copy.db");
    std::fs::copy(p.store.back_up().unwrap(), &copy).unwrap();
    (p, Store::open(&copy).unwrap())
}

fn state(store: &Store, ids: &[CandidateId]) -> Vec<(Option<Verdict>, usize, usize)> {
    let one = |id: &CandidateId| {
        let candidate = store.candidate(*id).unwrap();
        let faces = store.ground_truth(candidate.image).unwrap().len();
        (candidate.verdict, store.standing_verdicts(*id).unwrap().len(), faces)
    };
    ids.iter().map(one).collect()
}

#[test]
fn two_copies_end_up_the_same_whichever_merges_first() {
    let (mut p, mut copy) = copies();
    let ids = p.candidates();
    let drawn = FaceShape::Ellipse(Ellipse::new(45.0, 30.0, 1.5, 230.0, 240.0));
    p.store.record_verdicts(&ids[..3], "Ada", Verdict::Confirmed, Some("clock"), 10).unwrap();
    p.store.record_verdicts(&ids[3..4], "Ada", Verdict::Rejected, None, 50).unwrap();
    p.store.record_missed_face(ids[4], "Ada", drawn, None, 51).unwrap();
    copy.record_verdicts(&ids[1..4], "Grace", Verdict::Rejected, None, 20).unwrap();
    copy.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, 30).unwrap();
    copy.record_verdicts(&ids[5..], "Grace", Verdict::Confirmed, None, 40).unwrap();
    copy.undo("Grace", 41).unwrap().unwrap();

    let (left, right) = (p.dir.path().join("left.jsonl"), p.dir.path().join("right.jsonl"));
    assert_eq!(export(&p.store, &left).unwrap(), 6);
    assert_eq!(export(&copy, &right).unwrap(), 7);
    // The log of both queues is in memory already: a merge must reach it too.
    assert_eq!(p.store.count_candidates(&CandidateQuery::default()).unwrap(), 1);
    let report = merge(&mut p.store, &right).unwrap();
    assert_eq!((report.added, report.known, report.without_candidate), (6, 1, 0));
    assert_eq!(merge(&mut copy, &left).unwrap().added, 5);
    assert_eq!(state(&p.store, &ids), state(&copy, &ids));
    assert_eq!(
        p.store.candidate(ids[0]).unwrap().verdict,
        Some(Verdict::Rejected),
        "Ada's later verdict, from the copy"
    );
    assert_eq!(p.store.candidate(ids[5]).unwrap().verdict, None, "decided and undone");
    assert_eq!(copy.ground_truth(copy.candidate(ids[4]).unwrap().image).unwrap()[1].1.shape, drawn);

    assert_eq!(merge(&mut p.store, &right).unwrap().added, 0, "merging again adds nothing");
    assert_eq!(merge(&mut p.store, &left).unwrap().added, 0);
    p.store.undo("Ada", 60).unwrap().unwrap();
    assert_eq!(p.store.candidate(ids[4]).unwrap().verdict, None, "undo goes on with what was decided here");
}

#[test]
fn a_project_that_mined_the_same_by_itself_can_merge() {
    let (mut one, mut other) = (project(), project());
    let ids = one.candidates();
    one.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 1).unwrap();
    let file = one.dir.path().join("v.jsonl");
    export(&one.store, &file).unwrap();
    assert_eq!(merge(&mut other.store, &file).unwrap().added, 6);
    assert_eq!(other.store.verdict_counts(None).unwrap().confirmed, 6);
    other.store.replace_candidates(other.round, &[]).unwrap();
    let mut empty = Store::create(&one.dir.path().join("empty.db")).unwrap();
    assert_eq!(merge(&mut empty, &file).unwrap().without_candidate, 6);
}

#[test]
fn a_broken_line_is_named_and_nothing_is_merged() {
    let mut p = project();
    let mut other = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 1).unwrap();
    let file = p.dir.path().join("v.jsonl");
    export(&p.store, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let cut = text.lines().take(2).collect::<Vec<_>>().join("\n") + "\n{\"format\":1,";
    std::fs::write(&file, cut).unwrap();
    let message = merge(&mut other.store, &file).unwrap_err().to_string();
    assert!(message.contains("v.jsonl: line 3:") && message.contains("Nothing was merged"), "{message}");
    std::fs::write(&file, text.replace("\"format\":1", "\"format\":2")).unwrap();
    assert!(merge(&mut other.store, &file).unwrap_err().to_string().contains("update Quarry"));
    assert_eq!(other.store.verdict_counts(None).unwrap().undecided, 6);
}

#[test]
fn annotators_agree_as_far_as_they_do() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..5], "Ada", Verdict::Confirmed, None, 1).unwrap();
    assert!(agreement(&p.store).unwrap().is_empty());
    p.store.record_verdicts(&ids[..2], "Grace", Verdict::Confirmed, None, 2).unwrap();
    p.store.record_verdicts(&ids[2..4], "Grace", Verdict::Rejected, None, 3).unwrap();
    p.store.record_verdicts(&ids[4..], "Grace", Verdict::Skipped, None, 4).unwrap();
    let found = agreement(&p.store).unwrap();
    assert_eq!((found.len(), found[0].both, found[0].observed, found[0].kappa), (1, 4, 0.5, 0.0));
    let disputed = CandidateQuery { verdict: VerdictFilter::Disputed, ..CandidateQuery::default() };
    assert_eq!(p.store.candidate_ids(&disputed).unwrap(), ids[2..4]);
}

#[test]
fn precision_counts_only_what_was_reviewed_in_random_order() {
    let mut p = project();
    let image = p.store.images().unwrap()[3].id;
    let boxes = (0..40).map(|k| bb(f64::from(k), 9., 60. + f64::from(k), 30.));
    let new: Vec<_> = boxes.map(|b| candidate(image, b, 0.5)).collect();
    p.store.replace_candidates(p.round, &new).unwrap();
    let random = CandidateQuery {
        sort: Sort::Random,
        descending: false,
        verdict: VerdictFilter::Any,
        ..CandidateQuery::default()
    };
    let order = p.store.candidate_ids(&random).unwrap();
    assert!(precision(&p.store, &random).unwrap().estimate.is_nan());
    p.store.record_verdicts(&order[..6], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&order[6..8], "Ada", Verdict::Rejected, None, 2).unwrap();
    // Reviewed in another order: tells nothing about the rest.
    p.store.record_verdicts(&order[9..30], "Ada", Verdict::Rejected, None, 3).unwrap();
    let estimate = precision(&p.store, &random).unwrap();
    assert_eq!((estimate.sample, estimate.estimate), (8, 0.75));
    assert!(estimate.low < 0.5 && 0.9 < estimate.high, "{estimate:?}");
}
