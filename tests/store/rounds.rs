//! Rounds with their detections, candidates, metrics and curves; what the next round trains with.

use quarry::domain::{ClassId, Detection, FalsePositiveKind, HardNegativeSource, ImageId, RoundState, Verdict};
use quarry::geometry::Ellipse;
use quarry::store::{CandidateQuery, VerdictFilter};

use super::project::{Project, bb, candidate, every_image, project};

#[test]
fn rounds_are_numbered_and_remember_their_state() {
    let mut p = project();
    let second = p.store.start_round("iterations = 20\n").unwrap();
    assert_eq!((second.number, second.state, second.finished_ms), (2, RoundState::Running, None));
    p.store.set_round_state(second.id, RoundState::Mined).unwrap();
    let read = p.store.round_by_number(2).unwrap().unwrap();
    assert_eq!((read.state, read.config_toml.as_str()), (RoundState::Mined, "iterations = 20\n"));
    assert!(read.finished_ms.is_some());
    assert_eq!(p.store.rounds().unwrap().len(), 2);
    assert!(p.store.round_by_number(3).unwrap().is_none());
}

#[test]
fn mining_a_round_leaves_when_it_was_trained() {
    let mut p = project();
    let round = p.store.start_round("").unwrap();
    let finished_ms = |p: &Project| p.store.round(round.id).unwrap().finished_ms;
    p.store.set_round_state(round.id, RoundState::Trained).unwrap();
    let trained = finished_ms(&p).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    p.store.set_round_state(round.id, RoundState::Mined).unwrap();
    assert_eq!(finished_ms(&p), Some(trained));
    p.store.set_round_state(round.id, RoundState::Running).unwrap();
    assert_eq!(finished_ms(&p), None);
    p.store.set_round_state(round.id, RoundState::Stopped).unwrap();
    assert!(trained < finished_ms(&p).unwrap(), "a resumed round gets a new end");
}

#[test]
fn detections_come_back_by_score_and_are_replaced_image_by_image() {
    let mut p = project();
    let images: Vec<ImageId> = p.store.images().unwrap().iter().map(|i| i.id).collect();
    assert_eq!(p.store.add_class("hand", "user").unwrap(), ClassId(2));
    let ellipse = Ellipse::new(5.0, 4.0, 0.3, 10.0, 11.0);
    let low = Detection { class: ClassId::ONLY, bbox: bb(1., 2., 3., 4.), ellipse: None, score: 0.2 };
    let high = Detection { class: ClassId(2), bbox: bb(5., 6., 15., 16.), ellipse: Some(ellipse), score: 0.9 };
    p.store.replace_detections(p.round, &[(images[0], vec![low, high]), (images[1], vec![low])]).unwrap();
    assert_eq!(p.store.detections(p.round, images[0]).unwrap(), [high, low]);
    p.store.replace_detections(p.round, &[(images[0], vec![low])]).unwrap();
    assert_eq!(p.store.detections(p.round, images[0]).unwrap(), [low]);
    assert_eq!(p.store.count_detections(p.round).unwrap(), 2);
    let broken = Detection { score: f32::NAN, ..low };
    assert!(p.store.replace_detections(p.round, &[(images[0], vec![broken])]).is_err());
    assert_eq!(p.store.detections(p.round, images[0]).unwrap(), [low], "the failed call took nothing away");
}

#[test]
fn mining_again_keeps_verdicts_and_ids() {
    let mut p = project();
    let before = p.candidates();
    let image = p.store.images().unwrap()[0].id;
    p.store.record_verdicts(&before[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let new = [candidate(image, bb(200., 200., 260., 280.), 0.95), candidate(image, bb(1., 1., 9., 9.), 0.3)];
    p.store.replace_candidates(p.round, &every_image(&p.store), &new).unwrap();
    let after = p.candidates();
    assert_eq!(after.len(), 3, "one found again, one that holds a verdict, one new");
    assert!(after.contains(&before[0]) && after.contains(&before[1]));
    let again = p.store.candidate(before[0]).unwrap();
    assert_eq!((again.score, again.verdict), (0.95, Some(Verdict::Confirmed)));
    assert!(!before.contains(after.last().unwrap()), "a new candidate never takes the id of an old one");
}

#[test]
fn hard_negatives_follow_the_source_and_the_round() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..1], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&ids[1..2], "Ada", Verdict::Rejected, None, 2).unwrap();
    p.store.record_verdicts(&ids[5..], "Ada", Verdict::Skipped, None, 3).unwrap();
    let count =
        |source, before| -> usize { p.store.hard_negatives(source, before).unwrap().values().map(Vec::len).sum() };
    assert_eq!(count(HardNegativeSource::None, 2), 0);
    assert_eq!(count(HardNegativeSource::Confirmed, 2), 1);
    assert_eq!(count(HardNegativeSource::Unreviewed, 2), 5, "all but the rejected one");
    assert_eq!(count(HardNegativeSource::Unreviewed, 1), 0, "round 1 has no earlier round");
    let rejected = p.store.rejected_regions().unwrap();
    assert_eq!(rejected.values().flatten().copied().collect::<Vec<_>>(), [bb(200., 200., 260., 280.)]);
    let image = p.store.candidate(ids[2]).unwrap().image;
    let scores: Vec<f32> =
        p.store.hard_negatives(HardNegativeSource::Unreviewed, 2).unwrap()[&image].iter().map(|n| n.score).collect();
    assert_eq!(scores, [0.7, 0.6, 0.5], "highest score first");
}

#[test]
fn what_annotators_dispute_is_no_hard_negative() {
    let mut p = project();
    let first = p.candidates()[0];
    p.store.record_verdicts(&[first], "Ada", Verdict::Rejected, None, 1).unwrap();
    p.store.record_verdicts(&[first], "Grace", Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(p.store.candidate(first).unwrap().verdict, Some(Verdict::Confirmed), "the newest counts");
    assert!(p.store.hard_negatives(HardNegativeSource::Confirmed, 2).unwrap().is_empty());
    let disputed = CandidateQuery { verdict: VerdictFilter::Disputed, ..CandidateQuery::default() };
    assert_eq!(p.store.candidate_ids(&disputed).unwrap(), [first]);
    p.store.record_verdicts(&[first], "Ada", Verdict::Confirmed, None, 3).unwrap();
    assert_eq!(p.store.hard_negatives(HardNegativeSource::Confirmed, 2).unwrap().len(), 1);
    assert!(p.store.candidate_ids(&disputed).unwrap().is_empty());
}

#[test]
fn a_duplicate_is_never_a_hard_negative() {
    let mut p = project();
    let image = p.store.images().unwrap()[0].id;
    let mut duplicate = candidate(image, bb(0., 0., 99., 99.), 0.9);
    (duplicate.kind, duplicate.max_iou) = (FalsePositiveKind::Duplicate, 0.98);
    p.store.replace_candidates(p.round, &every_image(&p.store), &[duplicate]).unwrap();
    assert!(p.store.hard_negatives(HardNegativeSource::Unreviewed, 9).unwrap().is_empty());
}

#[test]
fn metrics_and_curves_are_kept_by_step() {
    let mut p = project();
    p.store.append_metrics(p.round, &[(20, "loss", 0.5), (10, "loss", 1.0), (10, "lr", f64::NAN)]).unwrap();
    p.store.append_metrics(p.round, &[(20, "loss", 0.4)]).unwrap();
    let read: Vec<(u64, String, f64)> =
        p.store.metrics(p.round).unwrap().into_iter().map(|m| (m.step, m.name, m.value)).collect();
    assert_eq!(read[0], (10, "loss".to_owned(), 1.0));
    assert_eq!(read[1], (20, "loss".to_owned(), 0.4));
    assert!(read[2].2.is_nan());
    let loss = p.store.metric_summary(p.round, "loss").unwrap();
    assert_eq!((loss.count, loss.sum, loss.largest, loss.recent_median), (2, 1.4, 1.0, Some(1.0)));
    let many: Vec<(u64, &str, f64)> = (1..=100).map(|step| (step, "step_s", step as f64)).collect();
    p.store.append_metrics(p.round, &many).unwrap();
    let steps = p.store.metric_summary(p.round, "step_s").unwrap();
    assert_eq!(steps.recent_median, Some(75.0), "of the last 51");
    let nothing = p.store.metric_summary(p.round, "memory").unwrap();
    assert_eq!((nothing.count, nothing.largest, nothing.recent_median), (0, 0.0, None));
    p.store.put_curve(p.round, 10, "fold 8", "{}").unwrap();
    p.store.put_curve(p.round, 10, "fold 8", "[1]").unwrap();
    let curves = p.store.curves(p.round).unwrap();
    assert_eq!((curves.len(), curves[0].json.as_str()), (1, "[1]"));
}

#[test]
fn notes_stay_with_their_round() {
    let mut p = project();
    p.store.set_round_notes(p.round, "the clocks are gone").unwrap();
    p.store.set_round_notes(p.round, "the clocks are gone,\nthe dolls are not").unwrap();
    assert_eq!(p.store.round(p.round).unwrap().notes, "the clocks are gone,\nthe dolls are not");
    let missing = p.store.set_round_notes(quarry::domain::RoundId(99), "x").unwrap_err().to_string();
    assert!(missing.contains("99"), "{missing}");
}

#[test]
fn a_candidate_that_another_device_finds_in_other_last_bits_keeps_its_verdict() {
    let mut p = project();
    let image = p.store.images().unwrap()[0].id;
    let boxes =
        |by: f64| [candidate(image, bb(20. + by, 20., 120., 120.), 0.9), candidate(image, bb(1., 1., 9., 9.), 0.3)];
    p.store.replace_candidates(p.round, &every_image(&p.store), &boxes(0.0)).unwrap();
    let before = p.candidates();
    p.store.record_verdicts(&before[..1], "Ada", Verdict::Confirmed, None, 1).unwrap();
    for by in [1e-9, 5.0, 0.0] {
        p.store.replace_candidates(p.round, &every_image(&p.store), &boxes(by)).unwrap();
        assert_eq!(p.candidates(), before, "moved by {by}");
        let again = p.store.candidate(before[0]).unwrap();
        assert_eq!((again.bbox.x1, again.verdict), (20.0 + by, Some(Verdict::Confirmed)));
    }
    p.store.replace_candidates(p.round, &every_image(&p.store), &boxes(15.0)).unwrap();
    assert_eq!(p.candidates().len(), 3, "below an IoU of 0.9 it is another one");
}
