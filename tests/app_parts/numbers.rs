//! The numbers of a review agree on every screen, in `quarry status` and in the store, also after bulk decisions.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use quarry::app::command::{Command, Screen};
use quarry::domain::{CandidateId, Verdict, VerdictCounts};
use quarry::workflow::Project;
use quarry::workflow::review::annotator_statistics;
use quarry::workflow::status::status;

use super::app_project;
use super::window::{Window, counts, press, select_all, wait_for, wait_until, window};

/// Waits until each screen shows the store's counts, and compares them with the commands.
#[track_caller]
fn all_agree(window: &mut Window, project: &Project, expected: (u64, u64, u64)) {
    wait_until(window, &format!("{expected:?} in the store"), || {
        let VerdictCounts { undecided, decisions, .. } = counts(project);
        (undecided, decisions, counts(project).decided()) == expected
    });
    let counts = counts(project);
    let (left, decisions, decided) = expected;
    let left_text =
        if decisions < left { format!("{left} left in {decisions} decisions") } else { format!("{left} left") };
    let estimated = if counts.estimated > 0 { format!(" ({} estimated)", counts.estimated) } else { String::new() };

    let status = status(project).unwrap();
    let of_rounds =
        |number: fn(&quarry::workflow::status::RoundStatus) -> u64| status.rounds.iter().map(number).sum::<u64>();
    assert_eq!(of_rounds(|round| round.undecided), left);
    assert_eq!(of_rounds(|round| round.candidates), left + decided);
    assert_eq!(of_rounds(|round| round.confirmed), counts.confirmed);
    if status.rounds.len() == 1 {
        assert_eq!(of_rounds(|round| round.decisions), decisions);
    }
    let store = project.open_store_to_read().unwrap();
    if let [one] = annotator_statistics(&store).unwrap().annotators.as_slice() {
        assert_eq!(one.counts, counts, "the only annotator's numbers are the project's");
    }

    let app = |window: &mut Window, screen| window.state_mut().as_mut().unwrap().push(Command::Show(screen));
    app(window, Screen::Review);
    wait_for(window, &format!("{decided} decided{estimated}  ·  {left_text}"));
    let bar = format!("{} hard negatives  ·  {left} to review", counts.confirmed);
    wait_for(window, &bar);
    if left == 0 {
        assert!(window.query_all_by_label_contains("min left").next().is_none(), "no time is left where nothing is");
    }
    app(window, Screen::Project);
    wait_for(window, &format!("{decided} decided"));
    wait_for(window, &bar);
    let next = match (left, decisions < left) {
        (0, _) => "Next: train round".to_owned(),
        (_, true) => format!("Next: decide on {left} candidates in {decisions} decisions."),
        (_, false) => format!("Next: decide on {left} candidates."),
    };
    super::wait_for_part(window, &next);
    app(window, Screen::Review);
    wait_for(window, &format!("{decided} decided{estimated}  ·  {left_text}"));
}

#[test]
fn every_screen_and_command_tells_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let group = |ids: &[i64]| ids.iter().copied().map(CandidateId).collect::<Vec<_>>();
    project.open_store().unwrap().set_groups(&[group(&[1, 4, 7, 10]), group(&[2, 5])]).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    all_agree(&mut window, &project, (12, 8, 0));

    // A whole group.
    let mut store = project.open_store().unwrap();
    let members = store.undecided_of_group(store.groups().unwrap()[0].id, None).unwrap();
    assert_eq!(members.len(), 4);
    store.record_verdicts(&members, "tester", Verdict::Confirmed, None, 1_000).unwrap();
    drop(store);
    all_agree(&mut window, &project, (8, 7, 4));

    // A part of the other group, by key on its candidate, then skipped ones, which count as decided.
    let mut store = project.open_store().unwrap();
    store.record_verdicts(&[CandidateId(2)], "tester", Verdict::Rejected, None, 2_000).unwrap();
    store.record_verdicts(&[CandidateId(3)], "tester", Verdict::Skipped, None, 3_000).unwrap();
    drop(store);
    all_agree(&mut window, &project, (6, 6, 6));

    // Everything left, in bulk in the grid, then undone at once.
    press(&mut window, Key::G);
    select_all(&mut window);
    press(&mut window, Key::X);
    all_agree(&mut window, &project, (0, 0, 12));
    press(&mut window, Key::Backspace);
    all_agree(&mut window, &project, (6, 6, 6));
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    all_agree(&mut window, &project, (0, 0, 12));
}
