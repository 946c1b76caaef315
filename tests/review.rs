//! The review screen: groups, orders, filters, history, several annotators; with a real project, without a display.
#![cfg(feature = "gui")]
#![allow(clippy::unwrap_used)]

#[path = "support/app_project.rs"]
mod app_project;
#[path = "support/window.rs"]
mod window;

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use quarry::app::command::Screen;
use quarry::domain::{Cancel, CandidateId, Verdict, VerdictCounts};
use quarry::store::{CandidateQuery, HistoryQuery, Store};
use quarry::workflow::Project;
use quarry::workflow::group::group;
use window::{Window, counts, open_grid, press, run_until, select_all, wait_for, wait_for_part, wait_until, window};

fn project(dir: &tempfile::TempDir, images: u32, rounds: u32, filter: &str) -> Project {
    let project = app_project::make(dir.path(), images, rounds);
    if !filter.is_empty() {
        project.open_store().unwrap().set_setting("review_filter", filter).unwrap();
    }
    project
}

fn shift(window: &mut Window, key: Key) {
    window.key_press_modifiers(Modifiers::SHIFT, key);
    window.step();
}

fn queue(project: &Project) -> Vec<CandidateId> {
    project.open_store().unwrap().candidate_ids(&CandidateQuery::default()).unwrap()
}

#[test]
fn a_group_is_decided_in_one_batch_and_taken_back_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 2, "");
    let mut store = project.open_store().unwrap();
    let exact = quarry::mining::GroupConfig { most_distance: 0, ..Default::default() };
    group(&mut store, &exact, &mut |_| {}, &Cancel::new()).unwrap();
    let first = store.candidate_row(queue(&project)[0]).unwrap();
    let size = u64::from(first.group_size);
    assert!((2..24).contains(&size), "{size}");
    let listed = store.count_candidates(&CandidateQuery::default()).unwrap();
    assert!(listed < 24, "a group is listed as one");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, &format!("1 of {listed}"));
    wait_for(&mut window, &format!("{size} members"));
    shift(&mut window, Key::A);
    wait_until(&mut window, "the group's verdicts", || counts(&project).confirmed == size);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "one undo for all", || counts(&project).undecided == 24);
    shift(&mut window, Key::X);
    wait_until(&mut window, "the group's rejections", || counts(&project).rejected == size);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "one undo for all", || counts(&project).undecided == 24);
    shift(&mut window, Key::G);
    wait_for(&mut window, &format!("{size} candidates"));
    press(&mut window, Key::Minus);
    wait_for(&mut window, &format!("{listed} listed"));
    press(&mut window, Key::U);
    wait_for(&mut window, "24 candidates");
    // As typed on a German keyboard.
    shift(&mut window, Key::Slash);
    wait_for(&mut window, "Done");
    window.run_steps(2);
    press(&mut window, Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label("Done").is_none());
    // One of the group: the rest is offered, and R accepts the offer.
    press(&mut window, Key::A);
    wait_for(&mut window, &format!("{} more in the group", size - 1));
    press(&mut window, Key::R);
    wait_until(&mut window, "the rest", || counts(&project).confirmed == size);
    wait_for_part(&mut window, &format!("{size} decided"));
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "the rest again undecided", || counts(&project).confirmed == 1);
}

#[test]
fn everything_selected_is_decided_with_all_alike_by_the_group_key() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 2, "");
    let mut store = project.open_store().unwrap();
    let exact = quarry::mining::GroupConfig { most_distance: 0, ..Default::default() };
    group(&mut store, &exact, &mut |_| {}, &Cancel::new()).unwrap();
    let listed = store.count_candidates(&CandidateQuery::default()).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, listed);
    select_all(&mut window);
    press(&mut window, Key::A);
    wait_until(&mut window, "those listed", || counts(&project).confirmed == listed);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undone", || counts(&project).undecided == 24);
    select_all(&mut window);
    shift(&mut window, Key::A);
    wait_until(&mut window, "all alike", || counts(&project).confirmed == 24);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undone", || counts(&project).undecided == 24);
}

#[test]
fn groups_are_found_anew_from_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 3, 2, "");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Regroup");
    // By name: counts that arrive above the button move it.
    window.get_by_label("Regroup").click_accesskit();
    let grouped = || {
        let store = Store::open_read_only(&project.database()).unwrap();
        store.candidate_row(CandidateId(1)).unwrap().group.is_some()
    };
    wait_until(&mut window, "grouping", grouped);
    wait_for_part(&mut window, " members");
}

#[test]
fn a_filter_counts_as_one_types_and_is_kept_with_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let mut first = window(Screen::Review, Some(project.dir()));
    wait_for(&mut first, "12 candidates");
    press(&mut first, Key::Slash);
    wait_for(&mut first, "Image name");
    first.run_steps(3);
    first.get_by_label("Image name").type_text("SCENE_0002");
    wait_for(&mut first, "3 candidates");
    wait_for(&mut first, "Name has “SCENE_0002”");
    drop(first);
    let mut second = window(Screen::Review, Some(project.dir()));
    wait_for(&mut second, "3 candidates");
    second.get_by_label("Name has “SCENE_0002”").click_accesskit();
    wait_for(&mut second, "12 candidates");
}

#[test]
fn a_filter_that_leaves_few_is_chosen_at_the_end_of_the_grid() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 60, 1, "");
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 180);
    for _ in 0..60 {
        press(&mut window, Key::ArrowDown);
    }
    let last = *queue(&project).last().unwrap();
    wait_for(&mut window, &format!("Candidate {last}"));
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Image name");
    window.run_steps(3);
    window.get_by_label("Image name").type_text("SCENE_0002");
    wait_for(&mut window, "3 candidates");
    window.run_steps(5);
    assert_eq!(window.query_all_by_label_contains("Candidate ").count(), 3);
}

#[test]
fn every_condition_of_a_filter_reaches_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 10, 2, r#"{"fold":3,"round":2,"iou":[0.0,0.2],"size":[10.0,10000.0]}"#);
    let mut first = window(Screen::Review, Some(project.dir()));
    wait_for(&mut first, "3 candidates");
    for chip in ["Fold 3", "Round 2", "IoU 0.00 to 0.20", "Size from 10"] {
        assert!(first.query_by_label(chip).is_some(), "{chip}");
    }
    drop(first);
    for nothing in
        [r#"{"iou":[0.1,0.2]}"#, r#"{"size":[900.0,10000.0]}"#, r#"{"group":77}"#, r#"{"verdicts":"Disputed"}"#]
    {
        project.open_store().unwrap().set_setting("review_filter", nothing).unwrap();
        let mut window = window(Screen::Review, Some(project.dir()));
        wait_for(&mut window, "0 candidates");
        wait_for(&mut window, "Nothing passes the filter");
    }
}

#[test]
fn a_random_sample_shows_its_estimate_as_the_review_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 6, 1, r#"{"order":"Random"}"#);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for_part(&mut window, "0 of 18 reviewed");
    for key in [Key::A, Key::A, Key::A, Key::X] {
        press(&mut window, key);
    }
    wait_for_part(&mut window, "4 of 18 reviewed. Of the other 14 about 75.0 % are hard negatives");
}

#[test]
fn a_digit_rejects_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 2, 1, "");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::Num3);
    wait_until(&mut window, "the rejection", || counts(&project).rejected == 1);
    let log = project.open_store().unwrap().history(&HistoryQuery::default(), 10).unwrap();
    assert_eq!(log[0].reason.as_deref(), Some("reflection"));
}

#[test]
fn the_history_is_searched_and_a_decision_changed() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    for key in [Key::A, Key::Num2, Key::A] {
        press(&mut window, key);
    }
    wait_until(&mut window, "three verdicts", || counts(&project).undecided == 9);
    press(&mut window, Key::H);
    wait_for(&mut window, "statue, mask or doll");
    assert_eq!(window.query_all_by_label("Look again").count(), 3);
    window.get_by_label("Search the history").focus();
    window.step();
    window.get_by_label("Search the history").type_text("statue");
    window.run_steps(3);
    run_until(&mut window, "the search", |window| window.query_all_by_label("Look again").count() == 1);
    // No verdict is given while the log is shown. Esc leaves the field, then keys navigate the log.
    press(&mut window, Key::A);
    press(&mut window, Key::Escape);
    press(&mut window, Key::L);
    wait_for(&mut window, &format!("Crop of candidate {}", ids[1]));
    press(&mut window, Key::A);
    wait_until(&mut window, "the change", || counts(&project).confirmed == 3);
    assert_eq!(counts(&project).rejected, 0);
}

#[test]
fn every_decision_of_a_batch_is_listed_and_changed() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 12);
    select_all(&mut window);
    press(&mut window, Key::A);
    wait_until(&mut window, "the batch", || counts(&project).confirmed == 12);
    press(&mut window, Key::H);
    run_until(&mut window, "the batch's line", |window| window.query_all_by_label("Look again").count() == 1);
    press(&mut window, Key::O);
    run_until(&mut window, "its decisions", |window| window.query_all_by_label("Look again").count() == 12);
    press(&mut window, Key::ArrowDown);
    press(&mut window, Key::L);
    let newest_but_one =
        project.open_store().unwrap().history(&HistoryQuery::default(), 2).unwrap()[1].record.candidate;
    assert!(ids.contains(&newest_but_one));
    wait_for(&mut window, &format!("Crop of candidate {newest_but_one}"));
    press(&mut window, Key::X);
    wait_until(&mut window, "the change", || counts(&project).rejected == 1);
    press(&mut window, Key::H);
    wait_for(&mut window, "Back to all");
    press(&mut window, Key::Escape);
    run_until(&mut window, "both batches", |window| window.query_all_by_label("Look again").count() == 2);
}

#[test]
fn people_see_their_agreement_and_review_what_they_differ_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 2, 1, "");
    let ids = queue(&project);
    let mut store = project.open_store().unwrap();
    store.record_verdicts(&ids[..4], "Ada", Verdict::Confirmed, None, 1).unwrap();
    store.record_verdicts(&ids[..3], "Grace", Verdict::Confirmed, None, 2).unwrap();
    store.record_verdicts(&ids[3..5], "Grace", Verdict::Rejected, Some("doubtful"), 3).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 1");
    press(&mut window, Key::P);
    for label in ["Ada and Grace", "75.0 %", "0.00", "Review the disagreement"] {
        wait_for(&mut window, label);
    }
    window.get_by_label("Review the disagreement").click_accesskit();
    wait_for(&mut window, "Verdict: Disagreement");
    wait_for(&mut window, "Ada: Hard negative");
    press(&mut window, Key::Minus);
    wait_for(&mut window, "All candidates");
    wait_for(&mut window, "1 of 6");
    shift(&mut window, Key::P);
    wait_for(&mut window, "Verdict: Disagreement");
    wait_for(&mut window, "Ada: Hard negative");
    wait_for(&mut window, "Grace: Rejected (doubtful)");
}

#[test]
fn a_blind_review_hides_what_others_decided() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 2, 1, r#"{"blind":true}"#);
    let ids = queue(&project);
    let mut store = project.open_store().unwrap();
    store.record_verdicts(&ids, "Ada", Verdict::Rejected, Some("doubtful"), 1).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    assert!(window.query_by_label("Verdict").is_none(), "Ada's verdict shows");
    wait_for_part(&mut window, "0 decided");
    press(&mut window, Key::A);
    wait_for_part(&mut window, "1 decided");
    press(&mut window, Key::ArrowLeft);
    wait_for(&mut window, "Verdict");
    let own = || project.open_store().unwrap().verdict_counts_of(None, Some("tester")).unwrap();
    let one = VerdictCounts { undecided: 5, decisions: 5, confirmed: 1, ..VerdictCounts::default() };
    wait_until(&mut window, "the own verdict", || own() == one);
    press(&mut window, Key::Backspace);
    wait_for_part(&mut window, "0 decided");
    assert_eq!(counts(&project).rejected, 6, "Ada's verdicts stand");
}

#[test]
fn an_image_that_is_gone_or_another_is_shown_as_such_and_keeps_its_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 2, 1, r#"{"order":"Image","verdicts":"All"}"#);
    let (first, second) = (dir.path().join("pictures/scene_0000.png"), dir.path().join("pictures/scene_0001.png"));
    std::fs::copy(&second, &first).unwrap();
    std::fs::remove_file(&second).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for_part(&mut window, "Changed since it was imported; its verdicts are kept");
    press(&mut window, Key::G);
    wait_for(&mut window, "Candidate 1, changed");
    press(&mut window, Key::G);
    for _ in 0..3 {
        press(&mut window, Key::A);
    }
    wait_for_part(&mut window, "Cannot be read; its verdicts are kept");
    wait_until(&mut window, "verdicts on what is another", || counts(&project).confirmed == 3);
    // What cannot be seen takes no verdict.
    press(&mut window, Key::X);
    press(&mut window, Key::Space);
    wait_until(&mut window, "the skip alone", || counts(&project).skipped == 1);
    assert_eq!(counts(&project).rejected, 0);
}

#[test]
fn a_damaged_database_is_opened_read_only_and_its_newest_good_backup_restored() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let mut store = project.open_store().unwrap();
    store.record_verdicts(&queue(&project)[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    store.back_up().unwrap();
    drop(store);
    let mut bytes = std::fs::read(project.database()).unwrap();
    let last_page = bytes.len() - 4096;
    bytes[last_page..].fill(0xa5);
    std::fs::write(project.database(), &bytes).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "Read only");
    wait_for_part(&mut window, "quarry.db is damaged");
    assert_eq!(std::fs::read(project.database()).unwrap(), bytes, "the damaged file stays as it is");
    window.get_by_label("Restore the newest good backup").click_accesskit();
    let aside = project.dir().join("damaged-1.db");
    wait_until(&mut window, "the restored database", || aside.exists() && project.open_store().is_ok());
    wait_for(&mut window, "1 of 10");
    assert!(window.query_by_label("Read only").is_none());
    press(&mut window, Key::A);
    wait_until(&mut window, "a verdict", || counts(&project).confirmed == 3);
    assert_eq!(std::fs::read(aside).unwrap(), bytes);
}

#[test]
fn opening_a_project_makes_a_backup_when_one_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 2, 1, "");
    let backups = || Store::open_read_only(&project.database()).unwrap().backups().len();
    let before = backups();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_until(&mut window, "the backup", || backups() == before + 1);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    drop(window);
    assert_eq!(backups(), before + 1, "no other is due");
}

#[test]
fn crops_of_the_grid_are_selected_by_dragging() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 12);
    let cell = |k: usize| format!("Candidate {}", ids[k]);
    wait_for(&mut window, &cell(5));
    let places: Vec<_> = [2, 3, 6, 4].iter().map(|k| window.get_by_label(&cell(*k)).rect().center()).collect();
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.event(egui::Event::PointerMoved(places[0]));
    window.event(button(places[0], true));
    window.step();
    for place in &places[1..] {
        window.event(egui::Event::PointerMoved(*place));
        window.run_steps(3);
    }
    window.event(button(places[3], false));
    window.run_steps(3);
    press(&mut window, Key::A);
    wait_until(&mut window, "three verdicts", || counts(&project).confirmed == 3);
    let log = project.open_store().unwrap().history(&HistoryQuery::default(), 10).unwrap();
    let mut decided: Vec<CandidateId> = log.iter().map(|entry| entry.record.candidate).collect();
    decided.sort_unstable();
    let mut expected = ids[2..=4].to_vec();
    expected.sort_unstable();
    assert_eq!(decided, expected, "going back shrinks the selection");
}

#[test]
fn verdicts_beyond_the_last_candidate_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 1, 1, "");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 3");
    for key in [Key::A, Key::A, Key::A, Key::X, Key::X] {
        press(&mut window, key);
    }
    wait_for(&mut window, "End of the list");
    window.run_steps(5);
    assert_eq!((counts(&project).confirmed, counts(&project).rejected), (3, 0));
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::X);
    wait_until(&mut window, "the change of the last", || counts(&project).rejected == 1);
}

#[test]
fn the_random_order_samples_what_waits_when_it_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 6, 1, "");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    for _ in 0..8 {
        press(&mut window, Key::A);
    }
    wait_until(&mut window, "eight by score", || counts(&project).confirmed == 8);
    press(&mut window, Key::Slash);
    let order = |window: &Window| window.query_by_role_and_label(Role::ComboBox, "Order").is_some();
    run_until(&mut window, "the order's field", order);
    window.get_by_role_and_label(Role::ComboBox, "Order").click_accesskit();
    wait_for(&mut window, "Random sample");
    window.get_by_label("Random sample").click_accesskit();
    wait_for_part(&mut window, "0 of 10 reviewed");
}

/// Two rounds that found the same; in the first all but one are decided: two of three are hard negatives, every third is rejected.
fn decided_once(dir: &tempfile::TempDir, filter: &str) -> (Project, Vec<CandidateId>) {
    let project = project(dir, 3, 2, filter);
    let mut store = project.open_store().unwrap();
    let ids = store.candidate_ids(&CandidateQuery { collapse: false, ..CandidateQuery::default() }).unwrap();
    let first: Vec<CandidateId> = ids.into_iter().filter(|id| store.candidate(*id).unwrap().round.0 == 1).collect();
    for (k, id) in first[1..].iter().enumerate() {
        let verdict = if k % 3 == 2 { Verdict::Rejected } else { Verdict::Confirmed };
        store.record_verdicts(&[*id], "Ada", verdict, None, k as i64).unwrap();
    }
    (project, first)
}

#[test]
fn what_an_earlier_round_decided_is_taken_over_by_one_key_or_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let (project, first) = decided_once(&dir, "{\"alike_as_one\":false,\"round\":2}");
    assert_eq!(first.len(), 9);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 9");
    wait_for_part(&mut window, "8 of these were decided in an earlier round: 6 hard negatives, 2 rejected");
    // The best of round 1 is undecided: there is nothing to carry over here.
    press(&mut window, Key::T);
    press(&mut window, Key::ArrowRight);
    wait_for(&mut window, "2 of 9");
    wait_for(&mut window, "1: Hard negative");
    press(&mut window, Key::T);
    wait_until(&mut window, "one is taken over", || counts(&project).inherited == 1);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "and taken back", || counts(&project).inherited == 0);
    wait_for(&mut window, "Carry over all 8");
    shift(&mut window, Key::T);
    wait_until(&mut window, "all are", || counts(&project).inherited == 8);
    assert_eq!((counts(&project).confirmed, counts(&project).rejected, counts(&project).undecided), (12, 4, 2));
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "in one step back", || counts(&project).undecided == 10);
}

#[test]
fn the_stop_after_a_random_sample_is_an_action_and_marks_what_it_decides() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 1, "");
    let mut store = project.open_store().unwrap();
    store.set_setting("review_filter", "{\"order\":\"Random\"}").unwrap();
    store.begin_sample().unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    shift(&mut window, Key::R);
    for sampled in 1..=4 {
        press(&mut window, Key::A);
        wait_until(&mut window, "the sample", || counts(&project).confirmed == sampled);
    }
    wait_for_part(&mut window, "Confirm the other 8 (95 %:");
    assert_eq!(counts(&project).estimated, 0, "without a sample the key does nothing");
    shift(&mut window, Key::R);
    wait_until(&mut window, "the others", || counts(&project).estimated == 8);
    assert_eq!(counts(&project).confirmed, 12);
    wait_for_part(&mut window, "12 decided (8 estimated)");
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undone", || counts(&project).undecided == 8 && counts(&project).estimated == 0);
}

#[test]
fn the_members_of_a_group_stand_beside_its_candidate() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir, 4, 2, "");
    let mut store = project.open_store().unwrap();
    let exact = quarry::mining::GroupConfig { most_distance: 0, ..Default::default() };
    group(&mut store, &exact, &mut |_| {}, &Cancel::new()).unwrap();
    let first = store.candidate_row(queue(&project)[0]).unwrap();
    let members = store.group_members(first.group.unwrap()).unwrap();
    store.record_verdicts(&members[1..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, &format!("{} members, {} left", members.len(), members.len() - 1));
    wait_for(&mut window, &format!("Group member {}, Hard negative", members[1]));
    wait_for(&mut window, &format!("Group member {}, undecided", members[0]));
    press(&mut window, Key::Slash);
    wait_for_part(&mut window, "decisions for 23 candidates");
}

/// The texts are for faces only if the project's only class is the face; stored ones stay as they were given.
#[test]
fn reasons_are_those_of_the_projects_classes() {
    let check = |classes: &[&str], word: &str| {
        let dir = tempfile::tempdir().unwrap();
        let project = app_project::make_with(dir.path(), 2, 1, classes);
        let mut window = window(Screen::Review, Some(project.dir()));
        wait_for(&mut window, "1 of 6");
        press(&mut window, Key::Num4);
        wait_until(&mut window, "a verdict", || counts(&project).rejected == 1);
        press(&mut window, Key::H);
        wait_for(&mut window, word);
    };
    check(&["face"], "animal's face");
    check(&["Face"], "animal's face");
    check(&["car"], "looks much like the class");
    check(&["face", "car"], "looks much like the class");
}
