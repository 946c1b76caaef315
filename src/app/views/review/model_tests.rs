//! Tests the review's state: keys in, decisions out.

use super::super::decision::{Decision, GroupOffer, Saved};
use super::*;
use crate::domain::{
    Candidate, ClassId, FalsePositiveKind, GroundTruthId, GroupId, ImageId, ObjectChange, RoundId, Shape, Verdict,
};
use crate::geometry::{BoundingBox, Ellipse};

fn row(id: i64) -> CandidateRow {
    let candidate = Candidate {
        id: CandidateId(id),
        round: RoundId(1),
        image: ImageId(1),
        class: ClassId::ONLY,
        bbox: BoundingBox::new(0.0, 0.0, 10.0, 20.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
        verdict: None,
    };
    let image_name = "image".to_owned();
    CandidateRow {
        candidate,
        round_number: 1,
        image_name,
        split: None,
        group: None,
        group_size: 1,
        group_waiting: 0,
        inherits: None,
        file: std::path::PathBuf::new(),
        content_hash: String::new(),
        held: Vec::new(),
    }
}

pub(in super::super) fn model(count: i64) -> ReviewModel<char> {
    let counts = VerdictCounts { undecided: count as u64, decisions: count as u64, ..VerdictCounts::default() };
    let mut model = ReviewModel { counts, ..ReviewModel::default() };
    model.extend((1..=count).map(row).collect(), true);
    model
}

fn verdicts(model: &ReviewModel<char>) -> Vec<Option<Verdict>> {
    model.rows().iter().map(|row| row.candidate.verdict).collect()
}

pub(in super::super) fn saved(model: &ReviewModel<char>, ids: &[i64]) -> Saved {
    let candidates: Vec<CandidateId> = ids.iter().copied().map(CandidateId).collect();
    let changed: Vec<CandidateRow> =
        model.rows().iter().filter(|r| candidates.contains(&r.candidate.id)).cloned().collect();
    let row = changed.first().cloned();
    Saved { candidates, changed, row, waiting: Vec::new() }
}

#[test]
fn a_decision_shows_at_once_goes_on_and_counts() {
    let mut model = model(3);
    let decision = model.decide(Verdict::Confirmed, Some("animal")).unwrap();
    let candidates = vec![CandidateId(1)];
    assert_eq!(
        decision,
        Decision::Verdict {
            candidates,
            groups: Vec::new(),
            verdict: Verdict::Confirmed,
            class: None,
            reason: Some("animal".to_owned())
        }
    );
    assert_eq!((model.position(), model.counts.undecided, model.counts.confirmed), (1, 2, 1));
    assert!(model.is_saving());
    let done = saved(&model, &[1]);
    model.confirmed(&done, 1.0);
    assert!(!model.is_saving());
    assert_eq!((model.pace.given(), model.counts.candidates()), (1, 3));
}

#[test]
fn keys_wait_in_order_until_the_decision_before_is_saved() {
    let mut model = model(3);
    model.decide(Verdict::Confirmed, None);
    for key in ['a', 'x'] {
        assert!(model.must_wait());
        model.wait(key);
    }
    assert_eq!(model.next_queued(), None, "nothing is read while a decision is on its way");
    let done = saved(&model, &[1]);
    model.confirmed(&done, 1.0);
    assert!(model.must_wait(), "a new key stands behind those that wait");
    assert_eq!((model.next_queued(), model.next_queued(), model.next_queued()), (Some('a'), Some('x'), None));
    assert!(!model.must_wait());
}

#[test]
fn what_cannot_be_saved_is_taken_back_and_stops_the_queue() {
    let mut model = model(3);
    model.decide(Verdict::Rejected, None);
    model.wait('a');
    model.failed("No space left on the disk".to_owned());
    assert_eq!((verdicts(&model), model.position()), (vec![None; 3], 0));
    assert_eq!((model.counts.undecided, model.counts.rejected), (3, 0));
    assert_eq!(model.next_queued(), None, "what was pressed after it is dropped");
    assert!(model.failure.as_ref().unwrap().contains("No space left"));
    assert_eq!(model.decide(Verdict::Confirmed, None), None, "the key was meant for the candidate after it");
    assert_eq!((model.decide_group(Verdict::Rejected), model.undo(), model.redo()), (None, None, None));
    model.start_adjusting(None, None);
    assert_eq!(model.adjusting, None);
    model.acknowledge_failure();
    assert!(model.decide(Verdict::Confirmed, None).is_some() && model.failure.is_none());
}

#[test]
fn the_grid_decides_on_the_selection_in_one_gesture() {
    let mut model = model(5);
    model.layout = Layout::Grid;
    model.go_to(1);
    model.select_to(3);
    model.toggle_selected(2);
    let Some(Decision::Verdict { candidates, .. }) = model.decide(Verdict::Confirmed, None) else { panic!() };
    assert_eq!(candidates, [CandidateId(2), CandidateId(4)]);
    assert_eq!((model.selected_count(), model.position()), (0, 2));
}

#[test]
fn everything_that_the_filter_finds_is_decided_in_one_batch_without_being_loaded() {
    let mut model = ReviewModel::<char> { layout: Layout::Grid, ..ReviewModel::default() };
    model.extend((1..=300).map(row).collect(), false);
    model.select_all();
    assert!(model.is_all_selected() && !model.must_wait() && !model.wants_more(0));
    model.extend((301..=310).map(row).collect(), false);
    assert!(model.is_selected(CandidateId(305)), "what is loaded later shows as selected too");
    let all = |each_member| Decision::All { each_member, verdict: Verdict::Confirmed, class: None, reason: None };
    assert_eq!(model.decide_group(Verdict::Confirmed), Some(all(true)), "rows that are not loaded may be of groups");
    model.failed("full".to_owned());
    model.acknowledge_failure();
    assert_eq!(model.decide(Verdict::Confirmed, None), Some(all(false)));
    assert_eq!((model.selected_count(), model.is_all_selected()), (0, false));
    assert!(verdicts(&model).iter().all(|verdict| *verdict == Some(Verdict::Confirmed)));
    model.failed("full".to_owned());
    assert!(model.is_all_selected(), "it is as before the failure");
    model.acknowledge_failure();
    model.toggle_selected(0);
    let Some(Decision::Verdict { candidates, .. }) = model.decide(Verdict::Rejected, None) else { panic!() };
    assert_eq!(candidates.len(), 309, "all but one are no longer all, only what is loaded");
}

#[test]
fn undo_goes_back_to_its_candidate_even_when_the_filter_had_left_it_out() {
    let mut model = model(3);
    model.decide(Verdict::Confirmed, None);
    let done = saved(&model, &[1]);
    model.confirmed(&done, 1.0);
    model.undo().unwrap();
    let mut undone = saved(&model, &[1]);
    undone.changed[0].candidate.verdict = None;
    undone.row = undone.changed.first().cloned();
    model.confirmed(&undone, 2.0);
    assert_eq!((model.position(), verdicts(&model)[0], model.counts.undecided), (0, None, 3));
    model.undo().unwrap();
    let candidates = vec![CandidateId(99)];
    model.confirmed(&Saved { candidates, row: Some(row(99)), ..Saved::default() }, 3.0);
    assert_eq!(model.current().unwrap().candidate.id, CandidateId(99));
    model.extend(vec![row(99)], true);
    assert_eq!(model.rows().len(), 4, "it does not come twice");
}

#[test]
fn next_undecided_wraps_around_and_stays_when_all_is_decided() {
    let mut model = model(3);
    for id in [1, 2] {
        model.go_to(id as usize - 1);
        model.decide(Verdict::Skipped, None);
        let done = saved(&model, &[id]);
        model.confirmed(&done, 0.0);
    }
    model.go_to(0);
    model.next_undecided();
    assert_eq!(model.position(), 2);
    model.decide(Verdict::Skipped, None);
    model.next_undecided();
    assert_eq!(model.position(), 2);
}

#[test]
fn a_missed_face_is_written_as_it_was_adjusted() {
    let mut model = model(2);
    model.start_adjusting(None, None);
    let ellipse = Ellipse::new(9.0, 4.0, 0.1, 5.0, 5.0);
    model.adjusting.as_mut().unwrap().shape = Shape::Ellipse(ellipse);
    let decision = model.commit_adjusted().unwrap();
    assert_eq!(decision, Decision::Face { candidate: CandidateId(1), shape: Shape::Ellipse(ellipse), class: None });
    assert_eq!((verdicts(&model)[0], model.adjusting.clone()), (Some(Verdict::MissedObject), None));
    assert_eq!(model.commit_adjusted(), None);
}

#[test]
fn an_empty_queue_decides_nothing() {
    let mut model = model(0);
    assert_eq!(model.decide(Verdict::Confirmed, None), None);
    model.next_undecided();
    model.step(1);
    assert_eq!((model.position(), model.current()), (0, None));
}

fn grouped(count: i64, group: &[i64]) -> ReviewModel<char> {
    let mut model = model(count);
    for row in model.rows.iter_mut().filter(|row| group.contains(&row.candidate.id.0)) {
        row.group = Some(GroupId(7));
        row.group_size = group.len() as u32;
    }
    model
}

#[test]
fn a_whole_group_is_one_decision_and_shows_at_once() {
    let mut model = grouped(5, &[1, 2, 4]);
    let decision = model.decide_group(Verdict::Confirmed).unwrap();
    let (candidates, groups) = (vec![CandidateId(1)], vec![GroupId(7)]);
    assert_eq!(
        decision,
        Decision::Verdict { candidates, groups, verdict: Verdict::Confirmed, class: None, reason: None }
    );
    let yes = Some(Verdict::Confirmed);
    assert_eq!(verdicts(&model), [yes, yes, None, yes, None]);
    assert_eq!((model.position(), model.counts.undecided), (2, 2));
    model.failed("full".to_owned());
    assert_eq!((verdicts(&model), model.position()), (vec![None; 5], 0));
    model.acknowledge_failure();
    model.go_to(2);
    let alone = model.decide_group(Verdict::Rejected).unwrap();
    let candidates = vec![CandidateId(3)];
    assert_eq!(
        alone,
        Decision::Verdict { candidates, groups: Vec::new(), verdict: Verdict::Rejected, class: None, reason: None }
    );
}

#[test]
fn a_selection_is_decided_with_all_its_groups_and_a_batch_offers_their_rest() {
    let two_groups = || {
        let mut model = grouped(6, &[1, 2]);
        for row in &mut model.rows[2..5] {
            (row.group, row.group_size) = (Some(GroupId(3)), 3);
        }
        model.layout = Layout::Grid;
        model.toggle_selected(0);
        model.toggle_selected(2);
        model
    };
    let mut model = two_groups();
    let Some(Decision::Verdict { candidates, groups, .. }) = model.decide_group(Verdict::Confirmed) else { panic!() };
    assert_eq!((candidates.len(), groups), (2, vec![GroupId(3), GroupId(7)]));
    let yes = Some(Verdict::Confirmed);
    assert_eq!(verdicts(&model), [yes, yes, yes, yes, yes, None]);

    let mut model = two_groups();
    model.decide(Verdict::Confirmed, None).unwrap();
    let done = Saved { waiting: vec![(GroupId(7), 1), (GroupId(3), 2)], ..saved(&model, &[1, 3]) };
    model.confirmed(&done, 0.0);
    assert_eq!(model.offer.as_ref().map(|offer| offer.waiting), Some(3));
    let Some(Decision::Verdict { candidates, groups, .. }) = model.decide_rest() else { panic!() };
    assert_eq!((candidates.len(), groups), (0, vec![GroupId(3), GroupId(7)]));
    assert_eq!(verdicts(&model), [yes, yes, yes, yes, yes, None]);
}

#[test]
fn deciding_one_of_a_group_offers_the_rest_until_the_next_decision() {
    let mut model = grouped(5, &[1, 2, 4]);
    assert_eq!(model.decide_rest(), None);
    model.decide(Verdict::Rejected, Some("reflection"));
    let done = Saved { waiting: vec![(GroupId(7), 2)], ..saved(&model, &[1]) };
    model.confirmed(&done, 0.0);
    let reason = Some("reflection".to_owned());
    let offer = GroupOffer {
        groups: vec![GroupId(7)],
        verdict: Verdict::Rejected,
        class: None,
        reason: reason.clone(),
        waiting: 2,
    };
    assert_eq!(model.offer, Some(offer));
    let rest = model.decide_rest().unwrap();
    let groups = vec![GroupId(7)];
    assert_eq!(
        rest,
        Decision::Verdict { candidates: Vec::new(), groups, verdict: Verdict::Rejected, class: None, reason }
    );
    assert_eq!((model.position(), model.offer.clone(), model.counts.rejected), (2, None, 3));
    let done = saved(&model, &[2, 4]);
    model.confirmed(&done, 1.0);
    model.go_to(1);
    model.decide(Verdict::Skipped, None);
    let skipped = Saved { waiting: vec![(GroupId(7), 1)], ..saved(&model, &[2]) };
    model.confirmed(&skipped, 2.0);
    assert_eq!(model.offer, None, "a skip is nothing to repeat");
}

#[test]
fn nothing_is_decided_where_no_candidate_is_shown() {
    let mut model = model(2);
    for layout in [Layout::History, Layout::Annotators] {
        model.toggle_layout(layout);
        assert_eq!(model.decide(Verdict::Confirmed, None), None);
        model.start_adjusting(None, None);
        assert_eq!(model.adjusting, None);
        model.toggle_layout(layout);
        assert_eq!(model.layout, Layout::Queue);
    }
}

fn undone(model: &mut ReviewModel<char>, row: CandidateRow) {
    model.undo().unwrap();
    let candidates = vec![row.candidate.id];
    model.confirmed(&Saved { candidates, changed: vec![row.clone()], row: Some(row), ..Saved::default() }, 0.0);
}

#[test]
fn an_undo_ends_the_selection_so_that_the_next_verdict_is_about_what_came_back() {
    let mut model = model(5);
    model.layout = Layout::Grid;
    for index in [1, 3] {
        model.toggle_selected(index);
    }
    undone(&mut model, row(99));
    assert_eq!((model.selected_count(), model.current().unwrap().candidate.id), (0, CandidateId(99)));
    let Some(Decision::Verdict { candidates, .. }) = model.decide(Verdict::Confirmed, None) else { panic!() };
    assert_eq!(candidates, [CandidateId(99)]);
}

#[test]
fn an_undo_of_a_batch_goes_to_the_first_of_it_in_the_order_of_the_list() {
    let mut model = ReviewModel::<char>::default();
    model.extend([4, 3, 9, 1].map(row).to_vec(), true);
    model.undo().unwrap();
    let candidates = [1, 3, 9].map(CandidateId).to_vec();
    model.confirmed(&Saved { candidates, row: Some(row(1)), ..Saved::default() }, 0.0);
    assert_eq!((model.position(), model.rows().len()), (1, 4));
}

#[test]
fn a_selection_holds_candidates_not_places() {
    let mut model = model(4);
    model.layout = Layout::Grid;
    model.select_to(1);
    model.rows.insert(0, row(50));
    let Some(Decision::Verdict { candidates, .. }) = model.decide(Verdict::Rejected, None) else { panic!() };
    assert_eq!(candidates, [CandidateId(1), CandidateId(2)]);
    model.failed("full".to_owned());
    assert!(model.is_selected(CandidateId(1)) && model.is_selected(CandidateId(2)), "it is as before the failure");
}

#[test]
fn after_a_restart_keys_wait_for_the_rows_and_for_the_candidate_to_go_back_to() {
    let mut model = model(3);
    model.go_to(1);
    model.start_adjusting(None, None);
    model.restart(Some(CandidateId(2)));
    model.wait('a');
    assert_eq!(model.next_queued(), None, "no row is there");
    model.extend((1..=3).map(row).collect(), true);
    assert_eq!(model.next_queued(), None, "one does not stand on it yet");
    model.return_loaded(Some(row(2)));
    assert_eq!((model.position(), model.next_queued()), (1, Some('a')));
    assert!(model.adjusting.is_some(), "the ellipse is still there");
    model.restart(Some(CandidateId(2)));
    model.return_loaded(None);
    model.extend(vec![row(1)], true);
    assert!(model.adjusting.is_none() && !model.must_wait(), "the candidate is gone");
    model.restart(None);
    model.give_up_waiting();
    assert!(!model.must_wait() && !model.wants_more(0), "what cannot be read holds nothing up");
}

#[test]
fn the_next_undecided_is_looked_for_in_rows_that_are_not_loaded_yet() {
    let decided = |id| {
        let mut row = row(id);
        row.candidate.verdict = Some(Verdict::Skipped);
        row
    };
    let mut model = ReviewModel::<char>::default();
    model.extend([vec![row(1)], (2..=300).map(decided).collect()].concat(), false);
    assert!(!model.wants_more(0));
    model.next_undecided();
    assert!(model.wants_more(0) && model.must_wait());
    model.extend((301..=400).map(decided).collect(), false);
    assert!(model.must_wait(), "not among these either");
    model.extend(vec![decided(401), row(402)], false);
    assert_eq!((model.current().unwrap().candidate.id, model.must_wait()), (CandidateId(402), false));
    model.next_undecided();
    model.extend(Vec::new(), true);
    assert_eq!((model.position(), model.must_wait()), (0, false), "past the end it begins again");

    let mut last = ReviewModel::<char>::default();
    last.extend(vec![row(1)], false);
    last.decide(Verdict::Confirmed, None);
    let done = saved(&last, &[1]);
    last.confirmed(&done, 0.0);
    last.wait('a');
    assert_eq!(last.next_queued(), None, "there is no candidate for it yet");
    last.extend(vec![decided(2), row(3)], true);
    assert_eq!((last.position(), last.next_queued()), (2, Some('a')));
}

#[test]
fn esc_breaks_off_the_search_and_drops_the_keys_behind_it_then_ends_the_selection() {
    let mut model = ReviewModel::<char> { layout: Layout::Grid, ..ReviewModel::default() };
    model.extend(vec![row(1)], false);
    assert!(!model.break_off(), "nothing is looked for");
    model.next_undecided();
    model.wait('a');
    assert!(model.must_wait() && model.break_off() && !model.must_wait());
    model.select_all();
    model.leave();
    assert_eq!((model.selected_count(), model.is_all_selected(), model.layout), (0, false, Layout::Grid));
}

#[test]
fn duplicates_of_a_promoted_face_are_passed_over_unless_they_are_asked_for() {
    let mut model = grouped(4, &[1, 2, 3]);
    model.rows[1].candidate.kind = FalsePositiveKind::Duplicate;
    model.decide(Verdict::Confirmed, None);
    assert_eq!(model.position(), 2);
    let done = Saved { waiting: vec![(GroupId(7), 1)], ..saved(&model, &[1]) };
    model.confirmed(&done, 0.0);
    model.decide_rest().unwrap();
    assert_eq!(verdicts(&model)[1..], [None, Some(Verdict::Confirmed), None], "the duplicate is not of the rest");
    let done = saved(&model, &[3]);
    model.confirmed(&done, 0.0);
    model.go_to(0);
    model.next_undecided();
    assert_eq!(model.position(), 3);
    model.filter.kind = Some(FalsePositiveKind::Duplicate);
    model.next_undecided();
    assert_eq!(model.position(), 1);
}

#[test]
fn a_face_that_was_called_one_before_makes_its_image_be_read_again() {
    let mut model = model(2);
    model.rows[0].held = vec![crate::store::Held {
        basis: crate::domain::Basis::Reviewed,
        annotator: "Ada".to_owned(),
        verdict: Verdict::MissedObject,
        class: None,
        reason: None,
    }];
    model.rows[0].candidate.image = ImageId(5);
    model.decide(Verdict::Rejected, None);
    assert_eq!(model.images_of_faces(&[CandidateId(1)], &[]).into_iter().collect::<Vec<_>>(), [ImageId(5)]);
    assert!(model.images_of_faces(&[CandidateId(2)], &[]).is_empty());
}

#[test]
fn an_ellipse_that_was_begun_in_the_grid_leads_back_there() {
    let mut model = model(2);
    model.layout = Layout::Grid;
    model.start_adjusting(None, None);
    assert_eq!(model.layout, Layout::Queue);
    model.commit_adjusted().unwrap();
    assert_eq!(model.layout, Layout::Grid);
}

#[test]
fn verdicts_that_are_typed_ahead_of_the_last_candidate_do_not_fall_on_it() {
    let mut model = model(2);
    for id in [1, 2] {
        model.decide(Verdict::Confirmed, None).unwrap();
        let done = saved(&model, &[id]);
        model.confirmed(&done, 0.0);
    }
    assert!(model.is_past_end());
    assert_eq!((model.decide(Verdict::Rejected, None), model.decide_group(Verdict::Rejected)), (None, None));
    model.start_adjusting(None, None);
    assert_eq!(model.adjusting, None);
    model.step(1);
    assert!(model.decide(Verdict::Rejected, None).is_some(), "whoever goes there again changes it");

    let mut more = ReviewModel::<char>::default();
    more.extend(vec![row(1)], false);
    more.decide(Verdict::Confirmed, None).unwrap();
    let done = saved(&more, &[1]);
    more.confirmed(&done, 0.0);
    more.give_up_waiting();
    assert!(more.is_past_end(), "the next page cannot be read");
    more.extend(vec![row(2)], true);
    assert_eq!(more.decide(Verdict::Rejected, None), None);
    assert!(more.next_undecided() && !more.is_past_end());
    assert_eq!(more.current().unwrap().candidate.id, CandidateId(2));
}

#[test]
fn in_a_list_of_decided_candidates_a_verdict_goes_one_on_and_loads_no_more_than_that() {
    let mut model = model(3);
    model.filter.verdicts = ShownVerdicts::Decided;
    for row in &mut model.rows {
        row.candidate.verdict = Some(Verdict::Skipped);
    }
    model.complete = false;
    for _ in 0..3 {
        assert!(!model.must_wait());
        model.decide(Verdict::Rejected, None).unwrap();
        model.confirmed(&Saved::default(), 0.0);
    }
    assert!(model.must_wait(), "the next page is to come");
    let mut next = row(4);
    next.candidate.verdict = Some(Verdict::Skipped);
    model.extend(vec![next], false);
    assert_eq!((model.position(), model.must_wait()), (3, false));
}

#[test]
fn what_waits_for_one_annotator_is_next_whatever_others_decided() {
    let mut model = model(4);
    model.filter.annotator = Some("Grace".to_owned());
    let held = |annotator: &str| crate::store::Held {
        basis: crate::domain::Basis::Reviewed,
        annotator: annotator.to_owned(),
        verdict: Verdict::Rejected,
        class: None,
        reason: None,
    };
    for (index, annotator) in [(1, "Ada"), (2, "Grace")] {
        model.rows[index].candidate.verdict = Some(Verdict::Rejected);
        model.rows[index].held = vec![held(annotator)];
    }
    model.decide(Verdict::Confirmed, None).unwrap();
    assert_eq!(model.position(), 1, "Ada's verdict is not Grace's");
    model.confirmed(&Saved::default(), 0.0);
    model.next_undecided();
    assert_eq!(model.position(), 3);
}

#[test]
fn what_is_being_decided_waits_for_nobody() {
    let mut model = model(4);
    // Ada decides; her rows show it once it is saved.
    model.filter.annotator = Some("Ada".to_owned());
    model.layout = Layout::Grid;
    model.select_to(2);
    model.decide(Verdict::Confirmed, None).unwrap();
    assert_eq!(model.position(), 3, "not among the three that were decided on");
    model.failed("full".to_owned());
    model.acknowledge_failure();
    model.go_to(0);
    model.next_undecided();
    assert_eq!(model.position(), 1, "they wait again");
}

#[test]
fn the_end_of_the_list_outlasts_a_rereading() {
    let mut model = model(1);
    model.decide(Verdict::Confirmed, None).unwrap();
    let done = saved(&model, &[1]);
    model.confirmed(&done, 0.0);
    for _ in 0..2 {
        let last = model.current().cloned().or(done.row.clone()).unwrap();
        model.restart(Some(last.candidate.id));
    }
    assert!(!model.is_past_end());
    model.extend(vec![], true);
    model.return_loaded(done.row.clone());
    assert!(model.is_past_end());
    assert_eq!(model.decide(Verdict::Rejected, None), None);
    // Another annotator takes over, for whom it is undecided.
    model.restart(Some(CandidateId(1)));
    model.extend(vec![row(1)], true);
    model.return_loaded(Some(row(1)));
    assert!(!model.is_past_end());
    model.restart(None);
    model.extend(vec![row(1)], true);
    assert!(!model.is_past_end(), "another filter begins anew");
}

#[test]
fn the_row_after_a_decision_is_looked_for_after_a_rereading_too() {
    let mut model = ReviewModel::<char>::default();
    model.extend(vec![row(1)], false);
    model.decide(Verdict::Confirmed, None).unwrap();
    let done = saved(&model, &[1]);
    model.confirmed(&done, 0.0);
    assert!(model.must_wait());
    model.restart(Some(CandidateId(1)));
    model.extend(vec![row(2)], false);
    model.return_loaded(done.row);
    assert_eq!(model.current().unwrap().candidate.id, CandidateId(2), "not the one that was just decided on");
}

#[test]
fn an_ellipse_that_cannot_be_saved_comes_back_with_its_candidate() {
    let mut model = model(2);
    model.start_adjusting(None, None);
    let drawn = model.adjusting.clone().unwrap().shape;
    model.commit_adjusted().unwrap();
    // A round ends meanwhile, and the list is reloaded from the next candidate on.
    model.restart(Some(CandidateId(2)));
    model.extend(vec![row(2)], true);
    model.failed("held by another program".to_owned());
    assert_eq!(model.current().unwrap().candidate.id, CandidateId(1));
    model.return_loaded(Some(row(2)));
    assert_eq!(model.current().unwrap().candidate.id, CandidateId(1), "the picture below the ellipse stays");
    assert_eq!(model.adjusting.as_ref().unwrap().shape, drawn);
    model.acknowledge_failure();
    let Some(Decision::Face { candidate, .. }) = model.commit_adjusted() else { panic!() };
    assert_eq!(candidate, CandidateId(1));
}

#[test]
fn everything_selected_shows_verdicts_only_where_the_filter_still_finds_it() {
    let mut model = model(3);
    model.layout = Layout::Grid;
    model.go_to(1);
    model.decide(Verdict::Rejected, None).unwrap();
    let done = saved(&model, &[2]);
    model.confirmed(&done, 0.0);
    model.select_all();
    model.decide(Verdict::Confirmed, None).unwrap();
    let (yes, no) = (Some(Verdict::Confirmed), Some(Verdict::Rejected));
    assert_eq!(verdicts(&model), [yes, no, yes]);
    assert_eq!(model.selected_count(), 0);
}

#[test]
fn an_ellipse_that_cannot_be_saved_stays_to_be_written_again() {
    let mut model = model(2);
    model.layout = Layout::Grid;
    model.start_adjusting(Some(Shape::Ellipse(Ellipse::new(9.0, 4.0, 0.1, 5.0, 5.0))), None);
    let adjusting = model.adjusting.clone();
    model.commit_adjusted().unwrap();
    assert_eq!(model.layout, Layout::Grid);
    model.failed("full".to_owned());
    assert_eq!((model.adjusting.clone(), model.layout), (adjusting, Layout::Queue));
    assert_eq!(model.commit_adjusted(), None, "first the failure is taken note of");
    model.acknowledge_failure();
    assert!(model.commit_adjusted().is_some());
}

#[test]
fn an_adjusted_object_is_corrected_and_comes_back_where_that_fails() {
    let mut model = model(2);
    let (object, shape) = (GroundTruthId(7), Shape::Rectangle(BoundingBox::new(1.0, 2.0, 30.0, 40.0)));
    model.start_adjusting_object(object, shape);
    let decision = model.commit_adjusted().unwrap();
    let change = ObjectChange::Shape(shape);
    assert_eq!(decision, Decision::Correct { objects: vec![object], change });
    assert!(model.is_correcting() && model.adjusting.is_none());
    assert_eq!((verdicts(&model)[0], model.position()), (None, 0), "the candidate waits as before");
    model.failed("held by another program".to_owned());
    let back = model.adjusting.clone().unwrap();
    assert_eq!((back.object, back.shape, back.candidate), (Some(object), shape, CandidateId(1)));
    assert_eq!(model.correct(vec![object], change), None, "not before the failure was seen");
    model.acknowledge_failure();
    assert!(model.commit_adjusted().is_some());
    model.confirmed(&Saved::default(), 1.0);
    assert!(!model.is_saving() && model.adjusting.is_none());
    assert_eq!(model.correct(Vec::new(), change), None, "of nothing");
}
