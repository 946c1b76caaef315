//! Deciding, undoing and redoing; promoted faces; history.

use proptest::prelude::*;
use quarry::domain::{AnnotationSource, CandidateId, ClassId, FalsePositiveKind, Shape, Verdict};
use quarry::geometry::Ellipse;
use quarry::store::{CandidateQuery, GestureAction, HistoryQuery, NewVerdict, Store, StoreError};

use super::project::{Project, bb, project};

const ADA: &str = "Ada";

fn verdicts(store: &Store, ids: &[CandidateId]) -> Vec<Option<Verdict>> {
    ids.iter().map(|id| store.candidate(*id).unwrap().verdict).collect()
}

#[test]
fn a_gesture_is_one_step_of_undo_and_redo() {
    let mut p = project();
    let ids = p.candidates();
    let gesture = p.store.record_verdicts(&ids[..3], ADA, Verdict::Confirmed, Some("clock"), 1).unwrap();
    assert_eq!((gesture.candidates.as_slice(), gesture.action), (&ids[..3], GestureAction::Decide));
    p.store.record_verdicts(&ids[..1], ADA, Verdict::Rejected, None, 2).unwrap();
    let confirmed = Some(Verdict::Confirmed);
    assert_eq!(verdicts(&p.store, &ids[..2]), [Some(Verdict::Rejected), confirmed]);

    let undone = p.store.undo(ADA, 3).unwrap().unwrap();
    assert_eq!((undone.verdict, undone.candidates.as_slice()), (Some(Verdict::Rejected), &ids[..1]));
    assert_eq!(verdicts(&p.store, &ids[..2]), [confirmed, confirmed], "the verdict before stands again");
    p.store.undo(ADA, 4).unwrap().unwrap();
    assert_eq!(verdicts(&p.store, &ids[..3]), [None; 3]);
    assert!(p.store.undo(ADA, 5).unwrap().is_none());

    p.store.redo(ADA, 6).unwrap().unwrap();
    assert_eq!(verdicts(&p.store, &ids[..3]), [confirmed; 3]);
    p.store.redo(ADA, 7).unwrap().unwrap();
    assert_eq!(verdicts(&p.store, &ids[..1]), [Some(Verdict::Rejected)]);
    assert!(p.store.redo(ADA, 8).unwrap().is_none());
    let history = p.store.history(&HistoryQuery::default(), 99).unwrap();
    let entry = history.iter().rfind(|entry| entry.record.candidate == ids[1]).unwrap();
    assert_eq!(entry.reason.as_deref(), Some("clock"));
}

#[test]
fn undo_and_redo_go_on_after_closing() {
    let mut p = project();
    let ids = p.candidates();
    for (k, id) in ids.iter().enumerate() {
        p.store.record_verdicts(&[*id], ADA, Verdict::Confirmed, None, k as i64).unwrap();
    }
    p.reopen();
    for _ in 0..4 {
        p.store.undo(ADA, 10).unwrap().unwrap();
        p.reopen();
    }
    assert_eq!(verdicts(&p.store, &ids).iter().flatten().count(), 2);
    p.store.redo(ADA, 11).unwrap().unwrap();
    p.store.undo(ADA, 12).unwrap().unwrap();
    p.store.redo(ADA, 13).unwrap().unwrap();
    assert_eq!(verdicts(&p.store, &ids).iter().flatten().count(), 3);
    p.store.record_verdicts(&[ids[5]], ADA, Verdict::Rejected, None, 14).unwrap();
    assert!(p.store.redo(ADA, 15).unwrap().is_none(), "a new decision clears redo");
}

#[test]
fn the_newest_row_counts_when_the_clock_goes_backwards() {
    let mut p = project();
    let id = p.candidates()[0];
    p.store.record_verdicts(&[id], ADA, Verdict::Confirmed, None, 1_000_000).unwrap();
    p.store.record_verdicts(&[id], "Grace", Verdict::Rejected, None, -5).unwrap();
    assert_eq!(verdicts(&p.store, &[id]), [Some(Verdict::Rejected)]);
    p.store.record_verdicts(&[id], ADA, Verdict::MissedObject, None, 3).unwrap();
    assert_eq!(verdicts(&p.store, &[id]), [Some(Verdict::MissedObject)]);
    p.store.undo(ADA, 2).unwrap().unwrap();
    assert_eq!(p.store.current_verdicts(id).unwrap().len(), 2);
}

#[test]
fn annotators_undo_their_own_and_a_skip_overrules_nobody() {
    let mut p = project();
    let id = p.candidates()[0];
    p.store.record_verdicts(&[id], ADA, Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&[id], "Grace", Verdict::Skipped, None, 2).unwrap();
    assert_eq!(verdicts(&p.store, &[id]), [Some(Verdict::Confirmed)]);
    p.store.undo(ADA, 3).unwrap().unwrap();
    assert_eq!(verdicts(&p.store, &[id]), [Some(Verdict::Skipped)]);
    assert!(p.store.undo("nobody", 4).unwrap().is_none());
    let names: Vec<String> = p.store.current_verdicts(id).unwrap().into_iter().map(|v| v.annotator).collect();
    assert_eq!(names, ["Grace"]);
}

fn promoted(p: &Project, id: CandidateId) -> Vec<Shape> {
    let image = p.store.candidate(id).unwrap().image;
    let faces = p.store.ground_truth(image).unwrap();
    faces.iter().filter(|(_, a)| a.source == AnnotationSource::Promoted).map(|(_, a)| a.shape).collect()
}

#[test]
fn a_missed_face_becomes_ground_truth_and_its_double_leaves_the_queue() {
    let mut p = project();
    let ids = p.candidates();
    let (face, double, beside) = (ids[2], ids[3], ids[4]);
    let queue = CandidateQuery::default();
    let left = p.store.count_candidates(&queue).unwrap();

    p.store.record_verdicts(&[face], ADA, Verdict::MissedObject, None, 1).unwrap();
    assert_eq!(promoted(&p, face), [Shape::Rectangle(bb(200., 200., 260., 280.))], "as the annotated ones are");
    let matched = p.store.candidate(double).unwrap();
    assert!(matched.max_iou > 0.9 && matched.kind == FalsePositiveKind::Duplicate, "{matched:?}");
    assert_eq!(p.store.candidate(beside).unwrap().max_iou, 0.0);
    assert_eq!(p.store.candidate(face).unwrap().max_iou, 0.0, "a face is not matched with itself");
    assert_eq!(p.store.count_candidates(&queue).unwrap(), left - 2);

    p.store.undo(ADA, 2).unwrap().unwrap();
    assert!(promoted(&p, face).is_empty());
    assert_eq!(p.store.candidate(double).unwrap().kind, FalsePositiveKind::Background);
    assert_eq!(p.store.count_candidates(&queue).unwrap(), left);

    p.store.redo(ADA, 3).unwrap().unwrap();
    assert_eq!(promoted(&p, face).len(), 1);
    p.store.record_verdicts(&[face], ADA, Verdict::Rejected, None, 4).unwrap();
    assert!(promoted(&p, face).is_empty(), "another verdict takes the face away");
}

#[test]
fn the_annotators_own_shape_is_kept_through_undo_and_redo() {
    let mut p = project();
    let id = p.candidates()[0];
    let drawn = Shape::Ellipse(Ellipse::new(50.0, 30.0, 1.2, 230.0, 240.0));
    let again = Shape::Rectangle(bb(190., 190., 270., 290.));
    p.store.record_missed_object(id, ADA, (drawn, None), None, 1).unwrap();
    assert_eq!(promoted(&p, id), [drawn]);
    p.store.record_missed_object(id, ADA, (again, None), None, 2).unwrap();
    assert_eq!(promoted(&p, id), [again]);
    p.store.undo(ADA, 3).unwrap();
    p.reopen();
    assert_eq!(promoted(&p, id), [drawn]);
    p.store.undo(ADA, 4).unwrap();
    p.store.redo(ADA, 5).unwrap();
    p.store.redo(ADA, 6).unwrap();
    assert_eq!(promoted(&p, id), [again]);
    let flat = Shape::Rectangle(bb(1., 1., 1., 9.));
    assert!(matches!(p.store.record_missed_object(id, ADA, (flat, None), None, 7), Err(StoreError::Invalid(_))));
    let outside = Shape::Rectangle(bb(700., 1., 720., 9.));
    let error = p.store.record_missed_object(id, ADA, (outside, None), None, 8).unwrap_err();
    assert!(error.to_string().contains("outside its image"), "{error}");
}

#[test]
fn what_cannot_be_decided_is_refused_whole() {
    let mut p = project();
    let ids = p.candidates();
    let unknown = CandidateId(999);
    let error = p.store.record_verdicts(&[ids[0], unknown], ADA, Verdict::Confirmed, None, 1).unwrap_err();
    assert!(error.to_string().contains("no candidate 999"), "{error}");
    assert!(p.store.record_verdicts(&[], ADA, Verdict::Confirmed, None, 1).is_err());
    assert!(p.store.record_verdicts(&ids[..1], " ", Verdict::Confirmed, None, 1).is_err());
    assert_eq!(verdicts(&p.store, &ids[..1]), [None]);
    assert!(p.store.history(&HistoryQuery::default(), 9).unwrap().is_empty());
    p.store.record_verdicts(&[ids[0], ids[0]], ADA, Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(p.store.history(&HistoryQuery::default(), 9).unwrap().len(), 1, "listed twice, decided once");
}

#[test]
fn history_is_searched_newest_first() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids, ADA, Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&ids[..1], "Grace", Verdict::Rejected, None, 2).unwrap();
    p.store.undo("Grace", 3).unwrap();
    let count = |query: HistoryQuery| p.store.history(&query, 100).unwrap().len();
    assert_eq!(count(HistoryQuery::default()), 8);
    assert_eq!(count(HistoryQuery { annotator: Some("Grace".to_owned()), ..HistoryQuery::default() }), 2);
    assert_eq!(count(HistoryQuery { verdict: Some(Verdict::Rejected), ..HistoryQuery::default() }), 1);
    assert_eq!(count(HistoryQuery { image_name: "B/TH".to_owned(), ..HistoryQuery::default() }), 3);
    // The texts on the screen, and those in exports.
    for (text, found) in [("hard neg", 6), ("confirmed", 6), ("undone", 1), ("rejected", 1), ("missed object", 0)] {
        assert_eq!(count(HistoryQuery { text: text.to_owned(), ..HistoryQuery::default() }), found, "{text}");
    }
    let newest = p.store.history(&HistoryQuery::default(), 1).unwrap();
    assert_eq!((newest[0].action, newest[0].record.verdict), (GestureAction::Undo, None));
    let older = HistoryQuery { before: Some(newest[0].seq), ..HistoryQuery::default() };
    assert_eq!(p.store.history(&older, 1).unwrap()[0].record.verdict, Some(Verdict::Rejected));
    let batch = p.store.history_steps(&HistoryQuery::default(), 9).unwrap().pop().unwrap();
    let of_batch = HistoryQuery { gesture: Some(batch.gesture), ..HistoryQuery::default() };
    let mut decided: Vec<_> = p.store.history(&of_batch, 9).unwrap().iter().map(|e| e.record.candidate).collect();
    decided.sort_unstable();
    assert_eq!((batch.count, decided), (6, ids));
    assert_eq!(p.store.history_steps(&of_batch, 9).unwrap().len(), 1);
}

#[test]
fn counts_follow_the_verdicts() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..2], ADA, Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&ids[2..3], ADA, Verdict::MissedObject, None, 2).unwrap();
    let counts = p.store.verdict_counts(Some(p.round)).unwrap();
    assert_eq!(
        (counts.confirmed, counts.missed_object, counts.undecided),
        (2, 1, 2),
        "the face's double counts nowhere"
    );
    assert_eq!(p.store.verdict_counts(None).unwrap(), counts);
}

#[derive(Debug, Clone)]
enum Step {
    Decide(Vec<usize>, Verdict),
    Undo,
    Redo,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let decide = (proptest::collection::vec(0..6_usize, 1..4), 0..Verdict::ALL.len());
    let step = prop_oneof![
        4 => decide.prop_map(|(ids, v)| Step::Decide(ids, Verdict::ALL[v])),
        4 => Just(Step::Undo),
        3 => Just(Step::Redo),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against the simplest model: a stack of whole states.
    #[test]
    fn undo_and_redo_are_stacks_of_states(steps in steps()) {
        let mut p = project();
        let ids = p.candidates();
        let mut states = vec![vec![None; ids.len()]];
        let mut at = 0;
        for (time, step) in steps.into_iter().enumerate() {
            match step {
                Step::Decide(which, verdict) => {
                    let mut state = states[at].clone();
                    for k in &which {
                        state[*k] = Some(verdict);
                    }
                    states.truncate(at + 1);
                    states.push(state);
                    at += 1;
                    let chosen: Vec<CandidateId> = which.iter().map(|k| ids[*k]).collect();
                    let class = verdict.has_class().then_some(ClassId::ONLY);
                    p.store.decide(&chosen, ADA, &NewVerdict { class, ..NewVerdict::plain(verdict) }, time as i64).unwrap();
                }
                Step::Undo => {
                    let undone = p.store.undo(ADA, time as i64).unwrap();
                    prop_assert_eq!(undone.is_some(), at > 0);
                    at = at.saturating_sub(1);
                }
                Step::Redo => {
                    let redone = p.store.redo(ADA, time as i64).unwrap();
                    prop_assert_eq!(redone.is_some(), at + 1 < states.len());
                    at = (at + 1).min(states.len() - 1);
                }
                Step::Reopen => p.reopen(),
            }
            prop_assert_eq!(&verdicts(&p.store, &ids), &states[at]);
            let faces = ids.iter().zip(&states[at]).filter(|(_, v)| v.is_some_and(Verdict::has_class)).count();
            let stored: usize = p.store.all_ground_truth().unwrap().values().map(Vec::len).sum();
            prop_assert_eq!(stored, 3 + faces);
        }
    }
}
