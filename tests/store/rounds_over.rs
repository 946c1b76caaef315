//! Several rounds: earlier verdicts are carried over, traces of candidates are reported, and estimated verdicts are kept apart.

use quarry::domain::{Basis, CandidateId, HardNegativeSource, RoundState, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{
    CandidateQuery, Fate, Inheritable, NewCandidate, NewVerdict, Origin, Sort, Store, TraceCounts, TraceFilter,
    VerdictFilter,
};

use super::project::{Project, bb, candidate, every_image, project};

const ADA: &str = "Ada";

/// Round 1 of [`project`], and rounds that find these boxes on the image with this index.
fn with_rounds(rounds: &[&[(usize, BoundingBox)]]) -> Project {
    let mut p = project();
    p.store.set_round_state(p.round, RoundState::Mined).unwrap();
    let images = every_image(&p.store);
    for found in rounds {
        let round = p.store.start_round("").unwrap().id;
        let scores = (0..).map(|k| 0.95 - 0.01 * k as f32);
        let new: Vec<NewCandidate> =
            found.iter().zip(scores).map(|((image, bbox), score)| candidate(images[*image], *bbox, score)).collect();
        p.store.replace_candidates(round, &images, &new).unwrap();
        p.store.set_round_state(round, RoundState::Mined).unwrap();
    }
    p
}

fn of_round(store: &Store, number: u32) -> Vec<CandidateId> {
    let round = store.rounds().unwrap().into_iter().find(|round| round.number == number).unwrap().id;
    let query = CandidateQuery {
        round: Some(round),
        verdict: VerdictFilter::Any,
        collapse: false,
        sort: Sort::Score,
        ..CandidateQuery::default()
    };
    store.candidate_ids(&query).unwrap()
}

/// Returns the verdict that a candidate inherits, its round and whether it is from the same region.
fn inherits(store: &Store, id: CandidateId) -> Option<(Verdict, u32, bool)> {
    let inherited = store.candidate_row(id).unwrap().inherits?;
    Some((inherited.verdict, inherited.round, inherited.is_twin))
}

#[test]
fn the_same_region_and_the_same_group_inherit_and_nothing_else() {
    let near = bb(203., 200., 263., 280.);
    // IoU exactly 0.7 with the region of round 1, and slightly less.
    let (just, beside) = (bb(200., 200., 260., 256.), bb(200., 200., 260., 255.9));
    let mut p = with_rounds(&[&[(0, near), (1, just), (1, beside), (3, bb(300., 300., 340., 350.)), (2, near)]]);
    let (first, second) = (of_round(&p.store, 1), of_round(&p.store, 2));
    let reason = Some("statue");
    p.store.record_verdicts(&first[..1], ADA, Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&first[1..2], ADA, Verdict::Rejected, reason, 2).unwrap();
    p.store.record_verdicts(&first[4..5], ADA, Verdict::Confirmed, None, 3).unwrap();
    p.store.record_verdicts(&first[2..3], ADA, Verdict::Skipped, None, 4).unwrap();
    p.store.set_groups(&[vec![second[3], first[4]]]).unwrap();
    let of_second = |p: &Project| second.iter().map(|id| inherits(&p.store, *id)).collect::<Vec<_>>();
    let (confirmed, rejected) = (Some((Verdict::Confirmed, 1, true)), Some((Verdict::Rejected, 1, true)));
    let alike = Some((Verdict::Confirmed, 1, false));
    assert_eq!(of_second(&p), [confirmed, rejected, None, alike, None]);
    assert_eq!(inherits(&p.store, first[5]), None, "of the first round nothing is earlier");
    assert_eq!(
        p.store.inheritable(&CandidateQuery::default()).unwrap(),
        Inheritable { confirmed: 2, rejected: 1 },
        "as many as the rows say"
    );
    // A list without undecided candidates has none to decide.
    for verdict in [VerdictFilter::Disputed, VerdictFilter::Decided, VerdictFilter::Is(Verdict::Confirmed)] {
        let query = CandidateQuery { verdict, ..CandidateQuery::default() };
        assert_eq!(p.store.inheritable(&query).unwrap(), Inheritable::default(), "{verdict:?}");
        assert_eq!(p.store.inherit_all(&query, ADA, 9).unwrap(), None, "{verdict:?}");
    }
    // A group on which earlier rounds disagree passes nothing on.
    p.store.set_groups(&[vec![second[3], first[4], first[1]]]).unwrap();
    assert_eq!(inherits(&p.store, second[3]), None);
    p.store.set_groups(&[vec![second[3], first[4]]]).unwrap();

    let taken = p.store.inherit_all(&CandidateQuery::default(), ADA, 5).unwrap().unwrap();
    assert_eq!(taken.candidates.len(), 3);
    let rows = p.store.candidate_rows(&second).unwrap();
    let given: Vec<_> = rows.iter().map(|row| (row.candidate.verdict, row.basis())).collect();
    let (yes, no) = ((Some(Verdict::Confirmed), Basis::Inherited), (Some(Verdict::Rejected), Basis::Inherited));
    assert_eq!(given, [yes, no, (None, Basis::Reviewed), yes, (None, Basis::Reviewed)]);
    assert_eq!(rows[1].reason(), reason);
    let counts = p.store.verdict_counts(None).unwrap();
    assert_eq!((counts.inherited, counts.estimated, counts.confirmed, counts.rejected), (3, 0, 4, 2));
    assert_eq!(p.store.inherit_all(&CandidateQuery::default(), ADA, 6).unwrap(), None, "nothing is left");
    let only = CandidateQuery {
        verdict: VerdictFilter::RestsOn(Basis::Inherited),
        collapse: false,
        ..CandidateQuery::default()
    };
    assert_eq!(p.store.count_candidates(&only).unwrap(), 3);
    p.store.undo(ADA, 7).unwrap().unwrap();
    assert_eq!(p.store.verdict_counts(None).unwrap().inherited, 0);
    assert_eq!(of_second(&p), [confirmed, rejected, None, alike, None], "one step takes all of it back");
    p.store.redo(ADA, 8).unwrap().unwrap();
    assert_eq!(p.store.verdict_counts(None).unwrap().inherited, 3);
    p.reopen();
    assert_eq!(p.store.verdict_counts(None).unwrap().inherited, 3);
}

#[test]
fn an_estimate_is_trained_on_unless_the_round_says_otherwise_and_is_never_called_reviewed() {
    let mut p = project();
    let ids = p.candidates();
    let random = CandidateQuery { sort: Sort::Random, descending: false, ..CandidateQuery::default() };
    p.store.begin_sample().unwrap();
    let shuffled = p.store.candidate_ids(&random).unwrap();
    p.store.record_verdicts(&shuffled[..2], ADA, Verdict::Confirmed, None, 1).unwrap();
    let sample = p.store.random_sample(&random).unwrap();
    assert_eq!((sample.population, sample.sampled, sample.confirmed, sample.waiting), (6, 2, 2, 4));
    let estimated = NewVerdict { basis: Basis::Estimated, ..NewVerdict::plain(Verdict::Confirmed) };
    p.store.decide(&shuffled[2..], ADA, &estimated, 2).unwrap();
    let after = p.store.random_sample(&random).unwrap();
    assert_eq!(
        (after.population, after.sampled, after.confirmed, after.waiting),
        (6, 2, 2, 0),
        "an estimate is no look"
    );
    let learns = |store: &Store, source| store.hard_negatives(source, 2).unwrap().values().flatten().count();
    assert_eq!(learns(&p.store, HardNegativeSource::Confirmed), 6);
    assert_eq!(learns(&p.store, HardNegativeSource::Reviewed), 2);
    let counts = p.store.verdict_counts(None).unwrap();
    assert_eq!((counts.confirmed, counts.estimated, counts.undecided), (6, 4, 0));
    // Deciding one later counts as a review of it.
    p.store.record_verdicts(&shuffled[2..3], ADA, Verdict::Rejected, None, 3).unwrap();
    assert_eq!(p.store.verdict_counts(None).unwrap().estimated, 3);
    p.store.undo(ADA, 4).unwrap().unwrap();
    assert_eq!(p.store.candidate_row(shuffled[2]).unwrap().basis(), Basis::Estimated, "what stood before");
    // Its basis is exported to another copy.
    let mut lines = Vec::new();
    p.store
        .export_verdicts(|line| {
            lines.push(line.clone());
            Ok::<_, quarry::store::StoreError>(())
        })
        .unwrap();
    assert!(lines.iter().any(|line| serde_json::to_string(line).unwrap().contains("\"basis\":\"estimated\"")));
    let plain = lines
        .iter()
        .find(|line| matches!(line, quarry::store::LogLine::Verdict(line) if line.basis == Basis::Reviewed))
        .unwrap();
    assert!(!serde_json::to_string(plain).unwrap().contains("basis"));
    let mut copy = project();
    copy.store.merge_verdicts(&lines, quarry::store::AHEAD_DAYS).unwrap();
    let counts = copy.store.verdict_counts(None).unwrap();
    assert_eq!((counts.confirmed, counts.estimated), (6, 4));
    // A second annotator's verdict agrees or not; an estimate is not a judgement.
    p.store.record_verdicts(&ids, "Grace", Verdict::Confirmed, None, 5).unwrap();
    assert_eq!(p.store.verdict_pairs(ADA, "Grace").unwrap().len(), 2);
    // Estimated verdicts are not inherited by the next round.
    let mut next = with_rounds(&[&[(0, bb(200., 200., 260., 280.))]]);
    let first = of_round(&next.store, 1);
    next.store.decide(&first, ADA, &estimated, 6).unwrap();
    assert_eq!(inherits(&next.store, of_round(&next.store, 2)[0]), None);
}

#[test]
fn every_candidate_has_one_trace_over_the_rounds() {
    let (here, there, new) = (bb(200., 200., 260., 280.), bb(400., 200., 460., 280.), bb(10., 300., 60., 360.));
    // On the third image: round 1 has `here` twice and `there`; 2 has only `there`; 3 has `here`, `there` and a new one.
    let mut p = with_rounds(&[&[(2, there)], &[(2, here), (2, there), (2, new)]]);
    let of = |store: &Store, round: u32, filter: TraceFilter| {
        let ids = of_round(store, round);
        let query = CandidateQuery {
            trace: Some(filter),
            verdict: VerdictFilter::Any,
            collapse: false,
            ..CandidateQuery::default()
        };
        let found = store.candidate_ids(&query).unwrap();
        ids.into_iter().filter(|id| found.contains(id)).count()
    };
    let origins = |store: &Store, round: u32| {
        [Origin::New, Origin::Persists, Origin::Back].map(|origin| of(store, round, TraceFilter::Origin(origin)))
    };
    let fates = |store: &Store, round: u32| {
        [Fate::Open, Fate::Gone, Fate::Persists, Fate::ComesBack].map(|fate| of(store, round, TraceFilter::Fate(fate)))
    };
    assert_eq!((origins(&p.store, 1), fates(&p.store, 1)), ([6, 0, 0], [0, 3, 1, 2]));
    assert_eq!((origins(&p.store, 2), fates(&p.store, 2)), ([0, 1, 0], [0, 0, 1, 0]));
    assert_eq!((origins(&p.store, 3), fates(&p.store, 3)), ([1, 1, 1], [3, 0, 0, 0]));
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let counts = p.store.count_traces(&all).unwrap();
    let TraceCounts { new, persisting, back, gone, still_there, comes_back, open } = counts;
    assert_eq!((new + persisting + back, gone + still_there + comes_back + open), (10, 10), "the sum of all");
    // Exports contain the same, one hard negative per row.
    let dir = tempfile::tempdir().unwrap();
    let scope = quarry::workflow::export::ExportScope::default();
    let (source, format) = (HardNegativeSource::Unreviewed, quarry::workflow::export::WriteFormat::Csv);
    let out = dir.path().join("hard.csv");
    quarry::workflow::export::hard_negatives(&p.store, &scope, source, format, out.as_path()).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let ends = |end: &str| text.lines().filter(|line| line.ends_with(end)).count();
    assert_eq!(ends(",round,origin,fate"), 1, "{text}");
    assert_eq!((ends(",1,new,gone"), ends(",1,new,persists"), ends(",1,new,returns")), (3, 1, 2), "{text}");
    assert_eq!((ends(",2,persists,persists"), ends(",3,returned,open"), ends(",3,new,open")), (1, 1, 1), "{text}");
    // A round that is not mined yet, and another model's, do not count.
    p.store.start_round("").unwrap();
    let other = p.store.start_imported_round("yolo", "x.json", "").unwrap().id;
    p.store.set_round_state(other, RoundState::Mined).unwrap();
    assert_eq!(p.store.count_traces(&all).unwrap(), counts);
}
