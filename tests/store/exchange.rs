//! Copies of a project that are reviewed separately and merged.

use quarry::domain::{Candidate, CandidateId, Output, Shape, Verdict};
use quarry::geometry::Ellipse;
use quarry::store::{CandidateQuery, MergeReport, NewCandidate, Sort, Store, VerdictFilter};
use quarry::workflow::verdicts::{MergeOptions, agreement, export, merge, merge_with, precision};

use super::project::{Project, bb, candidate, dataset, every_image, project};

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
        (candidate.verdict, store.current_verdicts(*id).unwrap().len(), faces)
    };
    ids.iter().map(one).collect()
}

#[test]
fn two_copies_end_up_the_same_whichever_merges_first() {
    let (mut p, mut copy) = copies();
    let ids = p.candidates();
    let drawn = Shape::Ellipse(Ellipse::new(45.0, 30.0, 1.5, 230.0, 240.0));
    p.store.record_verdicts(&ids[..3], "Ada", Verdict::Confirmed, Some("clock"), 10).unwrap();
    p.store.record_verdicts(&ids[3..4], "Ada", Verdict::Rejected, None, 50).unwrap();
    p.store.record_missed_object(ids[4], "Ada", (drawn, None), None, 51).unwrap();
    copy.record_verdicts(&ids[1..4], "Grace", Verdict::Rejected, None, 20).unwrap();
    copy.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, 30).unwrap();
    copy.record_verdicts(&ids[5..], "Grace", Verdict::Confirmed, None, 40).unwrap();
    copy.undo("Grace", 41).unwrap().unwrap();

    let (left, right) = (p.dir.path().join("left.jsonl"), p.dir.path().join("right.jsonl"));
    assert_eq!(export(&p.store, &left).unwrap(), 6);
    assert_eq!(export(&copy, &right).unwrap(), 7);
    // The log of both queues is in memory already: a merge must update it too.
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
    other.store.replace_candidates(other.round, &every_image(&other.store), &[]).unwrap();
    assert_eq!(other.store.verdict_counts(None).unwrap().confirmed, 6, "what was decided on stays");
}

#[test]
fn verdicts_on_candidates_that_are_mined_later_are_kept_until_then() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[1..], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&ids[..1], "Ada", Verdict::MissedObject, None, 2).unwrap();
    p.store.record_verdicts(&ids[1..2], "Ada", Verdict::Rejected, None, 3).unwrap();
    let (file, on) = (p.dir.path().join("v.jsonl"), p.dir.path().join("on.jsonl"));
    export(&p.store, &file).unwrap();

    let mut later = Store::create(&p.dir.path().join("later.db")).unwrap();
    for _ in 0..2 {
        let report = merge(&mut later, &file).unwrap();
        assert_eq!((report.added, report.known, report.without_candidate), (0, 0, 7));
    }
    assert_eq!(export(&later, &on).unwrap(), 7, "they travel on");
    later.add_dataset(&dataset()).unwrap();
    let round = later.start_round("").unwrap().id;
    let mined: Vec<NewCandidate> = ids
        .iter()
        .map(|id| p.store.candidate(*id).unwrap())
        .map(|c| {
            let Candidate { image, class, bbox, score, max_iou, kind, .. } = c;
            NewCandidate { image, class, bbox, score, max_iou, kind }
        })
        .collect();
    later.replace_candidates(round, &every_image(&later), &mined[..4]).unwrap();
    let counts = later.verdict_counts(None).unwrap();
    assert_eq!((counts.confirmed, counts.rejected, counts.missed_object, counts.undecided), (2, 1, 1, 0));
    assert_eq!(export(&later, Output::new(&on, true)).unwrap(), 7);
    later.replace_candidates(round, &every_image(&later), &mined).unwrap();
    assert_eq!(later.verdict_counts(None).unwrap().confirmed, 4);
    assert_eq!(merge(&mut later, &on).unwrap().known, 7);
    assert_eq!(later.count_ground_truth().unwrap(), 4, "the face was promoted here too");
}

#[test]
fn a_verdict_finds_the_candidate_of_its_own_round() {
    let (mut one, mut other) = (project(), project());
    for p in [&mut one, &mut other] {
        let again = p.store.candidate(p.candidates()[0]).unwrap();
        let second = p.store.start_round("").unwrap().id;
        p.store.replace_candidates(second, &every_image(&p.store), &[candidate(again.image, again.bbox, 0.3)]).unwrap();
    }
    let ids = one.candidates();
    assert_eq!(one.store.candidate(ids[6]).unwrap().bbox, one.store.candidate(ids[0]).unwrap().bbox);
    one.store.record_verdicts(&ids[6..], "Ada", Verdict::Rejected, None, 1).unwrap();
    let file = one.dir.path().join("v.jsonl");
    export(&one.store, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let without_round = text.replace(",\"round\":2", "");
    assert_ne!(text, without_round, "{text}");
    merge(&mut other.store, &file).unwrap();
    let verdict = |p: &Project, k: usize| p.store.candidate(ids[k]).unwrap().verdict;
    assert_eq!((verdict(&other, 0), verdict(&other, 6)), (None, Some(Verdict::Rejected)));
    let mut older = project();
    std::fs::write(&file, without_round).unwrap();
    merge(&mut older.store, &file).unwrap();
    assert_eq!(verdict(&older, 0), Some(Verdict::Rejected), "a line that names no round finds the place");
}

#[test]
fn an_exported_missed_face_says_that_it_was_promoted() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..1], "Ada", Verdict::MissedObject, None, 1).unwrap();
    p.store.record_verdicts(&ids[1..2], "Ada", Verdict::Confirmed, None, 2).unwrap();
    let file = p.dir.path().join("v.jsonl");
    export(&p.store, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let flagged: Vec<bool> = text.lines().map(|line| line.contains("\"source\":\"promoted\"")).collect();
    assert_eq!(flagged, [true, false], "{text}");
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
    assert!(message.contains("v.jsonl:3:") && message.contains("Nothing was merged"), "{message}");
    std::fs::write(&file, text.replace("\"format\":2", "\"format\":9")).unwrap();
    assert!(merge(&mut other.store, &file).unwrap_err().to_string().contains("update Quarry"));
    assert_eq!(other.store.verdict_counts(None).unwrap().undecided, 6);
}

/// A line with one missed face on candidate 0, changed by `change`, and the result of merging it into a project with the same images.
fn merged_with(change: impl Fn(&str) -> String) -> Result<MergeReport, String> {
    let (mut p, mut other) = (project(), project());
    let ids = p.candidates();
    let drawn = Shape::Ellipse(Ellipse::new(45.0, 30.0, 1.5, 230.0, 240.0));
    p.store.record_missed_object(ids[0], "Ada", (drawn, None), None, 1).unwrap();
    let file = p.dir.path().join("v.jsonl");
    export(&p.store, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = change(&text);
    assert_ne!(changed.trim(), text.trim(), "nothing was changed");
    std::fs::write(&file, changed).unwrap();
    let faces = other.store.count_ground_truth().unwrap();
    let report = merge(&mut other.store, &file).map_err(|e| e.to_string());
    let added = report.as_ref().map_or(0, |r| r.added);
    assert_eq!(other.store.count_ground_truth().unwrap(), faces + added, "a refused line promotes nothing");
    report
}

#[test]
fn ticks_and_shapes_that_no_copy_writes_are_refused_with_their_line() {
    let check = |from: &str, to: &str, expected: &str| {
        let message = merged_with(|text| format!("\n{}", text.replace(from, to))).expect_err(to);
        assert!(message.contains("v.jsonl:2:") && message.contains(expected), "{to}: {message}");
    };
    check("\"tick\":1000", "\"tick\":9223372036854775807", "its tick 9223372036854775807");
    check("\"tick\":1000", "\"tick\":-1", "its tick -1");
    check("\"time_ms\":1", "\"time_ms\":-5", "its time_ms -5");
    check("[45.0,30.0,", "[-5.0,30.0,", "half axes");
    check("[45.0,30.0,", "[1e308,30.0,", "pixels");
    check("[45.0,30.0,", "[0.0,30.0,", "half axes");
    check("230.0,240.0]", "9000.0,240.0]", "outside its image of 640 x 480");
    check("\"action\":\"decide\"", "\"action\":\"dance\"", "its action `dance`");
    check("\"Ada\"", "\"\"", "annotator");
    check("\"missed_object\"", "\"rejected\"", "only a missed object has a shape");
    check("\"tick\":1000", "\"tick\":true", "invalid type: boolean `true`");
    check("\"annotator\":\"Ada\",", "", "missing field `annotator`");
}

#[test]
fn a_byte_order_mark_is_skipped_and_an_endless_line_is_not_read() {
    assert_eq!(merged_with(|text| format!("\u{feff}{text}")).unwrap().added, 1);
    let message = merged_with(|text| format!("{text}{}", "x".repeat(3 << 20))).unwrap_err();
    assert!(
        message.contains("v.jsonl:2:") && message.contains("the line has more than") && message.len() < 400,
        "{message}"
    );
}

#[test]
fn a_file_of_another_project_is_refused_unless_it_is_to_be_kept() {
    let check = |text: &str| text.replace("hash of", "other");
    let message = merged_with(|text| check(text).replace("\"candidate\":\"0", "\"candidate\":\"1")).unwrap_err();
    assert!(message.contains("none of the 1 verdicts") && message.contains("--keep"), "{message}");
    let (mut p, mut other) = (project(), project());
    let ids = p.candidates();
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 1).unwrap();
    let file = p.dir.path().join("v.jsonl");
    export(&p.store, &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("hash of", "other")).unwrap();
    assert!(merge(&mut other.store, &file).is_err());
    assert_eq!(export(&other.store, p.dir.path().join("after.jsonl")).unwrap(), 0, "nothing was kept");
    let report = merge_with(&mut other.store, &file, MergeOptions { keep: true, ..MergeOptions::default() }).unwrap();
    assert_eq!((report.added, report.without_candidate, report.without_image), (0, 6, 6));
    // Some match: those are merged, the others reported.
    let half = text.replacen("hash of a/one", "other", 1);
    std::fs::write(&file, half).unwrap();
    let mut third = project();
    let report = merge(&mut third.store, &file).unwrap();
    assert_eq!((report.added, report.without_candidate, report.without_image), (5, 1, 1));
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

/// All candidates in the random order.
fn shuffled() -> CandidateQuery {
    CandidateQuery { sort: Sort::Random, descending: false, verdict: VerdictFilter::Any, ..CandidateQuery::default() }
}

#[test]
fn precision_counts_only_what_was_reviewed_in_random_order() {
    let mut p = project();
    let image = p.store.images().unwrap()[3].id;
    let boxes = (0..40).map(|k| bb(f64::from(k), 9., 60. + f64::from(k), 30.));
    let new: Vec<_> = boxes.map(|b| candidate(image, b, 0.5)).collect();
    p.store.replace_candidates(p.round, &every_image(&p.store), &new).unwrap();
    let random = shuffled();
    let order = p.store.candidate_ids(&random).unwrap();
    assert!(precision(&p.store, &random).unwrap().estimate.is_nan());
    p.store.record_verdicts(&order[..6], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&order[6..8], "Ada", Verdict::Rejected, None, 2).unwrap();
    // Reviewed in another order: not representative of the rest.
    p.store.record_verdicts(&order[9..30], "Ada", Verdict::Rejected, None, 3).unwrap();
    let estimate = precision(&p.store, &random).unwrap();
    assert_eq!((estimate.sample, estimate.estimate), (8, 0.75));
    assert!(estimate.low < 0.5 && estimate.high > 0.9, "{estimate:?}");
    // For one annotator: others' decisions are not part of the sample.
    let of = |name: &str| CandidateQuery { annotator: Some(name.to_owned()), ..random.clone() };
    assert_eq!(precision(&p.store, &of("Ada")).unwrap(), estimate);
    assert_eq!(precision(&p.store, &of("Grace")).unwrap().sample, 0);
    p.store.record_verdicts(&order[..2], "Grace", Verdict::Rejected, None, 4).unwrap();
    p.store.record_verdicts(&order[2..3], "Grace", Verdict::Confirmed, None, 5).unwrap();
    let graces = precision(&p.store, &of("Grace")).unwrap();
    assert_eq!((graces.sample, graces.estimate), (3, 1.0 / 3.0));
    assert_eq!(precision(&p.store, &of("Ada")).unwrap(), estimate);
}

#[test]
fn a_sample_that_begins_later_is_of_what_waited_then() {
    let mut p = project();
    let image = p.store.images().unwrap()[3].id;
    let boxes = (0..40).map(|k| bb(f64::from(k), 9., 60. + f64::from(k), 30.));
    p.store
        .replace_candidates(
            p.round,
            &every_image(&p.store),
            &boxes.map(|b| candidate(image, b, 0.5)).collect::<Vec<_>>(),
        )
        .unwrap();
    let random = shuffled();
    let order = p.store.candidate_ids(&random).unwrap();
    // Undone before the sample began: it is undecided.
    p.store.record_verdicts(&order[30..31], "Ada", Verdict::Confirmed, None, 0).unwrap();
    p.store.undo("Ada", 0).unwrap().unwrap();
    // For example the highest scores: nearly all hard negatives, spread over the shuffle.
    p.store.record_verdicts(&order[..10], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&order[12..30], "Ada", Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(precision(&p.store, &random).unwrap().sample, 10);
    p.store.begin_sample().unwrap();
    assert!(precision(&p.store, &random).unwrap().estimate.is_nan(), "nothing of it says what waits");
    assert_eq!(p.store.random_sample(&random).unwrap().population, 12);
    p.store.record_verdicts(&order[10..12], "Ada", Verdict::Rejected, None, 3).unwrap();
    p.store.record_verdicts(&order[30..32], "Ada", Verdict::Confirmed, None, 4).unwrap();
    let estimate = precision(&p.store, &random).unwrap();
    assert_eq!((estimate.sample, estimate.estimate), (4, 0.5));
    // For Grace, who had decided nothing, all of them are.
    let graces = CandidateQuery { annotator: Some("Grace".to_owned()), ..random.clone() };
    assert_eq!(p.store.random_sample(&graces).unwrap().population, 40);
    p.reopen();
    assert_eq!(p.store.random_sample(&random).unwrap().population, 12, "it goes on after a restart");
}

#[test]
fn a_merged_verdict_that_was_overruled_and_restored_is_not_undone() {
    let (mut p, mut copy) = copies();
    let id = p.candidates()[1];
    p.store.record_verdicts(&[id], "Ada", Verdict::Confirmed, None, 10).unwrap();
    copy.record_verdicts(&[id], "Ada", Verdict::Skipped, None, 11).unwrap();
    copy.record_verdicts(&[id], "Ada", Verdict::Rejected, None, 20).unwrap();
    let file = p.dir.path().join("copy.jsonl");
    export(&copy, &file).unwrap();
    merge(&mut p.store, &file).unwrap();
    let verdict = |p: &Project| p.store.candidate(id).unwrap().verdict;
    assert_eq!(verdict(&p), Some(Verdict::Rejected));
    p.store.record_verdicts(&[id], "Ada", Verdict::Confirmed, None, 30).unwrap();
    p.store.undo("Ada", 31).unwrap().unwrap();
    assert_eq!(verdict(&p), Some(Verdict::Rejected), "the merged one is back");
    p.store.undo("Ada", 32).unwrap().unwrap();
    assert_eq!(verdict(&p), Some(Verdict::Rejected), "the first decision was older than the merged one");
}

#[test]
fn a_merged_verdict_between_two_decisions_is_what_the_second_replaced() {
    let (mut p, mut copy) = copies();
    let id = p.candidates()[1];
    copy.record_verdicts(&[id], "Ada", Verdict::Rejected, None, 25).unwrap();
    let file = p.dir.path().join("copy.jsonl");
    export(&copy, &file).unwrap();
    let verdict = |p: &Project| p.store.candidate(id).unwrap().verdict;
    p.store.record_verdicts(&[id], "Ada", Verdict::Confirmed, None, 20).unwrap();
    for time_ms in 21..24 {
        p.store.record_verdicts(&p.candidates()[3..4], "Ada", Verdict::Skipped, None, time_ms).unwrap();
    }
    p.store.record_verdicts(&[id], "Ada", Verdict::Skipped, None, 30).unwrap();
    merge(&mut p.store, &file).unwrap();
    assert_eq!(verdict(&p), Some(Verdict::Skipped), "the last one here is the newest");
    p.store.undo("Ada", 31).unwrap().unwrap();
    assert_eq!(verdict(&p), Some(Verdict::Rejected), "the copy's, which lies between");
    for time_ms in 32..36 {
        p.store.undo("Ada", time_ms).unwrap().unwrap();
    }
    assert_eq!(verdict(&p), Some(Verdict::Rejected), "the first was older");
}

#[test]
fn an_undo_leaves_a_newer_verdict_from_another_copy_alone() {
    let (mut p, mut copy) = copies();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..3], "Ada", Verdict::Confirmed, None, 10).unwrap();
    copy.record_verdicts(&ids[1..2], "Ada", Verdict::Rejected, None, 5).unwrap();
    copy.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, 20).unwrap();
    let file = p.dir.path().join("copy.jsonl");
    export(&copy, &file).unwrap();
    merge(&mut p.store, &file).unwrap();
    let verdict = |p: &Project, k: usize| p.store.candidate(ids[k]).unwrap().verdict;
    let (yes, no) = (Some(Verdict::Confirmed), Some(Verdict::Rejected));
    assert_eq!([0, 1, 2].map(|k| verdict(&p, k)), [no, yes, yes], "the copy's is newer on the first alone");
    assert_eq!(p.store.undo("Ada", 30).unwrap().unwrap().candidates, ids[1..3]);
    assert_eq!(
        [0, 1, 2].map(|k| verdict(&p, k)),
        [no, no, None],
        "what the copy holds from before the decision stood then"
    );
    assert_eq!(p.store.redo("Ada", 31).unwrap().unwrap().candidates, ids[1..3]);
    assert_eq!([0, 1, 2].map(|k| verdict(&p, k)), [no, yes, yes]);
}

#[test]
fn a_verdict_finds_a_candidate_that_differs_in_the_last_bits() {
    let make = |by: f64| {
        let mut p = project();
        let image = p.store.images().unwrap()[0].id;
        let new = [20.0, 25.0].map(|x| candidate(image, bb(x + by, 20., 120., 120.), 0.9));
        p.store.replace_candidates(p.round, &every_image(&p.store), &new).unwrap();
        let ids = p.candidates();
        assert_eq!(ids.len(), 2);
        (p, ids)
    };
    let (mut one, ids) = make(0.0);
    let file = one.dir.path().join("v.jsonl");
    one.store.record_verdicts(&ids[..1], "Ada", Verdict::Confirmed, None, 1).unwrap();
    one.store.record_verdicts(&ids[1..], "Ada", Verdict::Rejected, None, 2).unwrap();
    export(&one.store, &file).unwrap();
    let check = |p: &Project, ids: &[CandidateId]| {
        let held: Vec<_> = ids.iter().map(|id| p.store.candidate(*id).unwrap().verdict).collect();
        assert_eq!(held, [Some(Verdict::Confirmed), Some(Verdict::Rejected)]);
    };
    let (mut other, ids) = make(1e-9);
    assert_eq!(merge(&mut other.store, &file).unwrap().added, 2);
    check(&other, &ids);
    // Merged before it is mined: waiting lines are matched with tolerance too.
    let (mut later, _) = make(0.5);
    later.store.replace_candidates(later.round, &every_image(&later.store), &[]).unwrap();
    assert_eq!(merge(&mut later.store, &file).unwrap().without_candidate, 2);
    let image = later.store.images().unwrap()[0].id;
    let new = [20.0, 25.0].map(|x| candidate(image, bb(x + 0.5, 20., 120., 120.), 0.9));
    later.store.replace_candidates(later.round, &every_image(&later.store), &new).unwrap();
    let ids = later.candidates();
    check(&later, &ids);
}
