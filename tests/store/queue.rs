//! Pages, counts and neighbours against a plain filter and sort of all rows.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use quarry::domain::{Basis, CandidateId, ClassId, FalsePositiveKind, ImageId, Overlaps, Shares, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{
    CandidateQuery, CandidateRow, GroupChange, Interval, Neighbour, NewCandidate, NewGroup, Sort, Store, VerdictFilter,
};

use super::project::{Project, bb, candidate, every_image, project};

/// Two rounds on the small dataset, 120 candidates with many score, IoU and size ties, groups and two annotators.
fn busy_project() -> Project {
    let mut p = project();
    let images: Vec<ImageId> = p.store.images().unwrap().iter().map(|i| i.id).collect();
    let second = p.store.start_round("").unwrap().id;
    for (round, offset) in [(p.round, 0_usize), (second, 60)] {
        let new: Vec<NewCandidate> = (0..60).map(|k| k + offset).map(|k| scattered(k, &images)).collect();
        p.store.replace_candidates(round, &every_image(&p.store), &new).unwrap();
    }
    let ids = p.candidates();
    let groups: Vec<Vec<CandidateId>> = vec![ids[..7].to_vec(), ids[20..24].to_vec(), ids[30..31].to_vec()];
    p.store.set_groups(&groups).unwrap();
    let plain = [Verdict::Confirmed, Verdict::Rejected, Verdict::MissedObject, Verdict::Skipped];
    for (k, id) in ids.iter().enumerate().filter(|(k, _)| k % 3 == 0) {
        p.store.record_verdicts(&[*id], "Ada", plain[k / 3 % 4], None, k as i64).unwrap();
    }
    p.store.record_verdicts(&ids[..10], "Grace", Verdict::Confirmed, None, 1).unwrap();
    p
}

fn scattered(k: usize, images: &[ImageId]) -> NewCandidate {
    let (x, side) = (120.0 + (k % 11) as f64 * 40.0, 8.0 + (k % 5) as f64 * 6.0);
    let bbox = BoundingBox::from_xywh(x, 120.0 + k as f64, side, side);
    let max_iou = (k % 4) as f64 / 10.0;
    let kind = FalsePositiveKind::of(Overlaps { own: max_iou, other: 0.0 });
    NewCandidate {
        image: images[k % images.len()],
        class: ClassId::ONLY,
        bbox,
        score: (k % 10) as f32 / 10.0,
        max_iou,
        kind,
    }
}

fn oracle(store: &Store, q: &CandidateQuery) -> Vec<CandidateId> {
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let every: Vec<CandidateId> = store.candidate_ids(&all).unwrap();
    let rows: Vec<CandidateRow> = every.iter().map(|id| store.candidate_row(*id).unwrap()).collect();
    let mut found: Vec<&CandidateRow> = rows.iter().filter(|row| wanted(store, q, row)).collect();
    found.sort_by(|a, b| {
        let keys = if q.descending {
            key(q.sort, b).total_cmp(&key(q.sort, a))
        } else {
            key(q.sort, a).total_cmp(&key(q.sort, b))
        };
        if keys == Ordering::Equal { a.candidate.id.cmp(&b.candidate.id) } else { keys }
    });
    let mut groups = HashSet::new();
    found.retain(|row| !q.collapses() || row.group.is_none_or(|group| groups.insert(group)));
    found.iter().map(|row| row.candidate.id).collect()
}

fn wanted(store: &Store, q: &CandidateQuery, row: &CandidateRow) -> bool {
    let c = &row.candidate;
    let standing = store.current_verdicts(c.id).unwrap();
    let verdict = match &q.annotator {
        None => c.verdict,
        Some(name) => standing.iter().find(|v| v.annotator == *name).and_then(|v| v.verdict),
    };
    let mut held: Vec<Verdict> = standing.iter().filter_map(|v| v.verdict).filter(|v| *v != Verdict::Skipped).collect();
    held.dedup();
    let by_verdict = match q.verdict {
        VerdictFilter::Any => true,
        VerdictFilter::Undecided => verdict.is_none(),
        VerdictFilter::Decided => verdict.is_some(),
        VerdictFilter::Is(v) => verdict == Some(v),
        // Everyone looked at what they decided.
        VerdictFilter::RestsOn(basis) => verdict.is_some() && basis == Basis::Reviewed,
        VerdictFilter::Disputed => held.len() > 1,
    };
    by_verdict
        && (c.verdict.is_some()
            || verdict.is_some()
            || c.kind != FalsePositiveKind::Duplicate
            || q.kind == Some(c.kind))
        && q.round.is_none_or(|r| r == c.round)
        && (q.split.is_none() || q.split == row.split)
        && q.kind.is_none_or(|k| k == c.kind)
        && q.group.is_none_or(|g| row.group == Some(g))
        && q.image.is_none_or(|i| i == c.image)
        && q.score.from as f32 <= c.score
        && c.score <= q.score.to as f32
        && q.iou.contains(c.max_iou)
        && q.size.contains(c.bbox.area().sqrt())
        && row.image_name.to_lowercase().contains(&q.image_name.to_lowercase())
}

fn key(sort: Sort, row: &CandidateRow) -> f64 {
    let mut held: Vec<Verdict> = row.held.iter().map(|h| h.verdict).filter(|v| *v != Verdict::Skipped).collect();
    held.dedup();
    let c = &row.candidate;
    match sort {
        Sort::Score => c.score.into(),
        Sort::Iou => c.max_iou,
        Sort::Size => c.bbox.area().sqrt(),
        Sort::Image => c.image.0 as f64,
        Sort::Round => row.round_number.into(),
        Sort::Expected => f64::from(c.score) / f64::from(row.group_size),
        Sort::Group => row.group.map_or(f64::from(u32::MAX), |g| g.0 as f64 + (1.0 - f64::from(c.score)) / 2.0),
        Sort::Disagreement => f64::from(u8::from(held.len() > 1)),
        Sort::Random => unreachable!("has no order to check"),
    }
}

fn queries() -> impl Strategy<Value = CandidateQuery> {
    let maybe = proptest::option::weighted(0.3, 0..4_usize);
    let interval = proptest::option::weighted(0.3, (0..10_u8, 0..10_u8));
    let verdicts = [
        VerdictFilter::Any,
        VerdictFilter::Undecided,
        VerdictFilter::Decided,
        VerdictFilter::Is(Verdict::Confirmed),
        VerdictFilter::Is(Verdict::MissedObject),
        VerdictFilter::Disputed,
        VerdictFilter::RestsOn(Basis::Reviewed),
        VerdictFilter::RestsOn(Basis::Estimated),
    ];
    let names = ["", "a/", "B/", "four_5", "%", "_"];
    (
        (maybe.clone(), maybe.clone(), maybe.clone(), maybe),
        (interval.clone(), interval.clone(), interval),
        (0..verdicts.len(), 0..names.len(), 0..8_usize, any::<bool>(), 0..4_usize, any::<bool>()),
    )
        .prop_map(
            move |(
                (round, fold, kind, group),
                (score, iou, size),
                (verdict, name, sort, descending, who, collapse),
            )| {
                let scaled = |interval: Option<(u8, u8)>, unit: f64| match interval {
                    None => Interval::ALL,
                    Some((a, b)) => Interval::new(f64::from(a.min(b)) * unit, f64::from(a.max(b)) * unit),
                };
                CandidateQuery {
                    round: round.map(|r| quarry::domain::RoundId(r as i64 % 2 + 1)),
                    split: fold.map(|f| (f % 3 + 1).to_string()),
                    class: None,
                    kind: kind.map(|k| FalsePositiveKind::ALL[k % 5]),
                    verdict: verdicts[verdict],
                    score: scaled(score, 0.1),
                    iou: scaled(iou, 0.05),
                    size: scaled(size, 5.0),
                    image_name: names[name].to_owned(),
                    image: None,
                    share: None,
                    group: group.map(|g| quarry::domain::GroupId(g as i64 % 3 + 1)),
                    trace: None,
                    annotator: [None, Some("Ada"), Some("Grace"), Some("nobody")][who].map(str::to_owned),
                    collapse,
                    sort: Sort::ALL[sort],
                    descending,
                }
            },
        )
}

/// Each image is in one share, or in two; what one annotator decided is undecided for the other only if both have it.
#[test]
fn shares_divide_the_queue_by_images_and_count_own_verdicts() {
    let mut p = busy_project();
    assert_eq!(p.store.shares().unwrap(), None);
    let names = ["Ada", "Grace", "Cem"].map(str::to_owned);
    for twice in [0, 100] {
        let shares = Shares::new(&names, twice).unwrap();
        p.store.set_shares(Some(&shares)).unwrap();
        assert_eq!(p.store.shares().unwrap().as_ref(), Some(&shares));
        let of = |name: &str, verdict| {
            let share = Some(shares.of(name));
            let query = CandidateQuery { share, verdict, collapse: false, ..CandidateQuery::default() };
            let own = CandidateQuery { annotator: Some(name.to_owned()), ..query };
            p.store.candidate_ids(&own).unwrap().into_iter().collect::<HashSet<_>>()
        };
        let mut times: HashMap<CandidateId, usize> = HashMap::new();
        let mut owners: HashMap<ImageId, HashSet<&str>> = HashMap::new();
        for name in &names {
            let all = of(name, VerdictFilter::Any);
            let (left, decided) = (of(name, VerdictFilter::Undecided), of(name, VerdictFilter::Decided));
            assert!(
                left.is_disjoint(&decided) && left.union(&decided).copied().collect::<HashSet<_>>().is_subset(&all)
            );
            for id in all {
                *times.entry(id).or_default() += 1;
                owners.entry(p.store.candidate(id).unwrap().image).or_default().insert(name);
            }
        }
        let wanted = if twice == 0 { 1 } else { 2 };
        assert_eq!(times.len(), p.candidates().len());
        assert!(times.values().all(|times| *times == wanted) && owners.values().all(|who| who.len() == wanted));
        assert!(of("Cem", VerdictFilter::Decided).is_empty(), "others' verdicts are not Cem's");
        assert!(of("somebody else", VerdictFilter::Any).is_empty());
    }
    p.store.set_shares(None).unwrap();
    assert_eq!(p.store.shares().unwrap(), None);
}

#[test]
fn pages_counts_and_neighbours_agree_with_the_definition() {
    let p = busy_project();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    runner
        .run(&queries(), |query| {
            let expected = oracle(&p.store, &query);
            let mut paged = Vec::new();
            let mut cursor = None;
            loop {
                let page = p.store.candidates_page(&query, cursor.as_ref(), 7).unwrap();
                paged.extend(page.rows.iter().map(|row| row.candidate.id));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert_eq!(&paged, &expected);
            prop_assert_eq!(p.store.count_candidates(&query).unwrap(), expected.len() as u64);
            prop_assert_eq!(&p.store.candidate_ids(&query).unwrap(), &expected);
            for (k, id) in expected.iter().enumerate().step_by(5) {
                let beside = |direction| p.store.neighbour(&query, *id, direction).unwrap();
                prop_assert_eq!(beside(Neighbour::Next), expected.get(k + 1).copied());
                prop_assert_eq!(beside(Neighbour::Previous), k.checked_sub(1).map(|k| expected[k]));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_cursor_holds_its_place_while_the_queue_shrinks() {
    let mut p = busy_project();
    let query = CandidateQuery { collapse: false, ..CandidateQuery::default() };
    let all = p.store.candidate_ids(&query).unwrap();
    let first = p.store.candidates_page(&query, None, 10).unwrap();
    let ids: Vec<CandidateId> = first.rows.iter().map(|r| r.candidate.id).collect();
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 9).unwrap();
    let second = p.store.candidates_page(&query, first.next.as_ref(), 10).unwrap();
    assert_eq!(second.rows.iter().map(|r| r.candidate.id).collect::<Vec<_>>(), all[10..20]);
}

#[test]
fn a_group_is_one_in_the_list_until_all_of_it_is_decided() {
    let mut p = busy_project();
    let query = CandidateQuery::default();
    let single = CandidateQuery { collapse: false, ..query.clone() };
    let row = |p: &Project, id| p.store.candidate_row(id).unwrap();
    let group = row(&p, p.candidates()[20]).group;
    let of_group = |p: &Project, query| -> Vec<CandidateId> {
        let ids = p.store.candidate_ids(query).unwrap();
        ids.into_iter().filter(|id| row(p, *id).group == group).collect()
    };
    let waiting = of_group(&p, &single);
    assert!(waiting.len() > 2, "{waiting:?}");
    // Pages of one: the group is on a single page, wherever they start.
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = p.store.candidates_page(&query, cursor.as_ref(), 1).unwrap();
        seen.extend(page.rows.iter().filter(|row| row.group == group).map(|row| row.candidate.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, waiting[..1], "the first in the order stands for all");
    let left = p.store.count_candidates(&query).unwrap();
    for (k, id) in waiting.iter().enumerate() {
        assert_eq!(of_group(&p, &query), [*id], "the next of them stands for the rest");
        assert_eq!(p.store.count_candidates(&query).unwrap(), left);
        p.store.record_verdicts(&[*id], "Ada", Verdict::Confirmed, None, k as i64).unwrap();
    }
    assert!(of_group(&p, &query).is_empty());
    assert_eq!(p.store.count_candidates(&query).unwrap(), left - 1);
    let all = |sort, group| CandidateQuery { verdict: VerdictFilter::Any, sort, group, ..CandidateQuery::default() };
    assert_eq!(p.store.count_candidates(&all(Sort::Random, None)).unwrap(), 120, "a sample is of single candidates");
    assert_eq!(p.store.count_candidates(&all(Sort::Score, group)).unwrap(), 4, "within a group all are shown");
    assert_eq!(p.store.count_candidates(&all(Sort::Score, None)).unwrap(), 120 - 6 - 3);
    assert_eq!(p.store.verdict_counts(None).unwrap().undecided, p.store.count_candidates(&single).unwrap());
}

#[test]
fn all_that_a_query_finds_is_decided_as_one_gesture() {
    let mut p = busy_project();
    let query = CandidateQuery {
        score: Interval::new(0.3, 0.6),
        verdict: VerdictFilter::Undecided,
        collapse: false,
        ..CandidateQuery::default()
    };
    let found = p.store.candidate_ids(&query).unwrap();
    assert!(found.len() > 20);
    // What another connection decides in between no longer matches the query.
    let mut other = Store::open(&p.path()).unwrap();
    other.record_verdicts(&found[..1], "Grace", Verdict::Rejected, None, 1).unwrap();
    let rest = p.store.candidate_ids(&query).unwrap();
    assert_eq!(rest, found[1..]);
    let gesture = p.store.record_verdicts(&rest, "Ada", Verdict::Confirmed, Some("clock"), 2).unwrap();
    assert_eq!(gesture.candidates, rest);
    assert_eq!(p.store.count_candidates(&query).unwrap(), 0);
    let error = p.store.record_verdicts(&[], "Ada", Verdict::Confirmed, None, 3).unwrap_err();
    assert!(error.to_string().contains("no candidate was given"), "{error}");
    p.store.forget_lists();
    let undone = p.store.undo("Ada", 4).unwrap().unwrap();
    assert_eq!(undone.candidates.len(), found.len() - 1);
    assert_eq!(p.store.candidate_ids(&query).unwrap(), found[1..]);
    let own = CandidateQuery { annotator: Some("Ada".to_owned()), ..query.clone() };
    assert!(p.store.candidate_ids(&own).unwrap().contains(&found[0]), "what Grace alone decided waits for Ada");
}

#[test]
fn next_undecided_passes_over_what_is_decided_and_wraps() {
    let mut p = project();
    let ids = p.candidates();
    let query = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    p.store.record_verdicts(&[ids[1], ids[2]], "Ada", Verdict::Skipped, None, 1).unwrap();
    let check = |after: Option<CandidateId>, expected| {
        assert_eq!(p.store.next_undecided(&query, after).unwrap(), expected, "{after:?}");
    };
    check(None, Some(ids[0]));
    check(Some(ids[0]), Some(ids[3]));
    check(Some(ids[1]), Some(ids[3]));
    check(Some(ids[5]), Some(ids[0]));
    let counts = p.store.verdict_counts(None).unwrap();
    assert_eq!((counts.skipped, counts.undecided), (2, 4));
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(p.store.next_undecided(&query, Some(ids[3])).unwrap(), None);
}

#[test]
fn another_connections_work_is_seen() {
    let mut p = project();
    let reader = Store::open_read_only(&p.path()).unwrap();
    let query = CandidateQuery::default();
    assert_eq!(reader.count_candidates(&query).unwrap(), 6);
    let ids = p.candidates();
    p.store.record_verdicts(&[ids[2]], "Ada", Verdict::MissedObject, None, 1).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 4, "the face and its double are gone");
    p.store.undo("Ada", 2).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 6);
    p.store.redo("Ada", 3).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 4);
    p.store.record_verdicts(&[ids[2]], "Grace", Verdict::Rejected, None, 4).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 5, "Grace says it is no face: its double waits again");
    p.store.undo("Grace", 5).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 4, "Ada's face is back, and its double gone");
    p.store.undo("Ada", 6).unwrap();
    let image = p.store.images().unwrap()[0].id;
    p.store.replace_candidates(p.round, &every_image(&p.store), &[candidate(image, bb(1., 1., 5., 5.), 0.5)]).unwrap();
    assert_eq!(reader.count_candidates(&query).unwrap(), 1 + 1, "the new one, and the one with a history");
}

#[test]
fn the_random_order_is_fixed_and_mixes() {
    let p = busy_project();
    let random = CandidateQuery { sort: Sort::Random, verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let shuffled = p.store.candidate_ids(&random).unwrap();
    assert_eq!(shuffled, p.store.candidate_ids(&random).unwrap());
    let half: i64 = shuffled[..60].iter().map(|id| i64::from(id.0 > 60)).sum();
    assert!((15..46).contains(&half), "{half} of the first 60 are from the second half");
}

#[test]
fn groups_are_listed_and_replaced() {
    let mut p = busy_project();
    let first = p.store.candidate_row(p.candidates()[0]).unwrap();
    assert_eq!(first.group_size, 7);
    let members = p.store.group_members(first.group.unwrap()).unwrap();
    assert_eq!(members.len(), 7);
    p.store.set_groups(&[]).unwrap();
    assert_eq!(p.store.candidate_row(members[0]).unwrap().group, None);
    assert!(p.store.set_groups(&[vec![members[0], members[1]], vec![members[1], members[2]]]).is_err());
}

#[test]
fn no_group_gets_the_id_of_an_older_one() {
    let mut p = busy_project();
    let ids = p.candidates();
    let group = |p: &Project, id: CandidateId| p.store.candidate_row(id).unwrap().group;
    let old = group(&p, ids[0]).unwrap();
    p.store.set_groups(&[]).unwrap();
    p.reopen();
    p.store.set_groups(&[ids[50..53].to_vec()]).unwrap();
    let new = group(&p, ids[50]).unwrap();
    assert!(old < new, "{old} {new}");
    assert!(p.store.undecided_of_group(old, None).unwrap().is_empty(), "a batch decision over it decides on nothing");
}

#[test]
fn a_group_that_is_being_filled_is_not_shown_until_it_is_whole() {
    let mut p = busy_project();
    let ids = p.candidates();
    let old = p.store.candidate_row(ids[0]).unwrap().group.unwrap();
    let id = p.store.next_group().unwrap();
    assert!(id > old);
    let group = |p: &Project, id: CandidateId| p.store.candidate_row(id).unwrap().group;
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let entries = |p: &Project| p.store.candidate_ids(&all).unwrap().len();
    p.store.fill_groups_from(id).unwrap();
    let made = NewGroup { id, representative: ids[50], by_place: false, chain: 9 };
    let place = |at: usize| GroupChange::Place(ids[at], Some(id));
    let changes = [GroupChange::Make(made), place(50), place(51), place(0), GroupChange::Place(ids[1], None)];
    assert_eq!(p.store.change_groups(&changes).unwrap(), changes.len());
    // An interrupted grouping here also leaves what another program reads unchanged.
    p.store.groups_have_changed().unwrap();
    p.reopen();
    assert_eq!([50, 0, 1].map(|at| group(&p, ids[at])), [None; 3]);
    assert_eq!(p.store.group_members(old).unwrap().len(), 5, "two left the old one");
    let hidden = entries(&p);
    // The next one has higher ids, and hidden groups stay hidden.
    p.store.fill_groups_from(p.store.next_group().unwrap()).unwrap();
    p.store.change_groups(&[place(52)]).unwrap();
    assert_eq!(group(&p, ids[52]), None);
    p.store.groups_are_found(false).unwrap();
    assert_eq!([50, 51, 52, 0].map(|at| group(&p, ids[at])), [Some(id); 4]);
    assert_eq!(group(&p, ids[1]), None);
    assert_eq!(entries(&p), hidden - 3, "lists follow");
    assert!(p.store.next_group().unwrap() > id);
}

#[test]
fn the_first_page_of_many_groups_is_where_all_pages_begin() {
    let mut p = project();
    let images: Vec<ImageId> = p.store.images().unwrap().iter().map(|i| i.id).collect();
    let spread = |k: usize| NewCandidate { score: (k * 7919 % 5003) as f32 / 5003.0, ..scattered(k, &images) };
    p.store.replace_candidates(p.round, &every_image(&p.store), &(0..5000).map(spread).collect::<Vec<_>>()).unwrap();
    let ids = p.candidates();
    let members = |group: usize| ids.iter().skip(group).step_by(90).copied().collect();
    // Most candidates are in one of 80 groups: the first page examines many more of them than it lists.
    p.store.set_groups(&(0..80).map(members).collect::<Vec<Vec<CandidateId>>>()).unwrap();
    for sort in [Sort::Score, Sort::Iou, Sort::Size, Sort::Image] {
        for descending in [false, true] {
            let query = CandidateQuery { sort, descending, ..CandidateQuery::default() };
            let all = p.store.candidate_ids(&query).unwrap();
            assert!(all.len() > 600 && all.len() < 700, "{}", all.len());
            for limit in [1, 100, 300, 5000] {
                let page = p.store.candidates_page(&query, None, limit).unwrap();
                let listed: Vec<CandidateId> = page.rows.iter().map(|row| row.candidate.id).collect();
                assert_eq!(listed, all[..limit.min(all.len())], "{sort:?} {descending} {limit}");
            }
        }
    }
}
