//! The window from outside: real keys and clicks on the real screens, over a real project, without a display.
#![cfg(feature = "gui")]
#![allow(clippy::unwrap_used)]

#[path = "support/app_project.rs"]
mod app_project;
#[path = "support/window.rs"]
mod window;

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::command::Screen;
use quarry::domain::{CandidateId, ClassId, Verdict};
use quarry::store::{CandidateQuery, HistoryQuery};
use quarry::store::{Store, VerdictCounts};
use quarry::workflow::Project;
use window::{
    Window, counts, open_grid, press, press_at_once, run_until, select_all, wait_for, wait_for_part, wait_until, window,
};

#[test]
fn without_a_project_the_window_offers_to_open_make_and_try_one() {
    let mut window = window(Screen::Project, None);
    for label in ["Open", "Make new", "Browse…", "Start with the sample…"] {
        wait_for(&mut window, label);
    }
}

#[test]
fn keys_become_verdicts_in_the_database_and_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // Pressed faster than they can be saved: none is lost and the order stays.
    for key in [Key::A, Key::X, Key::A, Key::Space, Key::Num3] {
        press(&mut window, key);
    }
    wait_until(&mut window, "five verdicts", || counts(&project).undecided == 13);
    let expected =
        VerdictCounts { undecided: 13, confirmed: 2, rejected: 2, missed_object: 0, wrong_class: 0, skipped: 1 };
    assert_eq!(counts(&project), expected);
    wait_for(&mut window, "6 of 18");
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undo", || counts(&project).undecided == 14);
    wait_for(&mut window, "5 of 18");
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    wait_until(&mut window, "redo", || counts(&project).undecided == 13);
    drop(window);
    assert_eq!(counts(&project), expected);
}

#[test]
fn buttons_do_what_their_keys_do() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    window.get_by_label("Reject").click();
    wait_until(&mut window, "the verdict", || counts(&project).rejected == 1);
}

#[test]
fn a_missed_face_is_adjusted_and_becomes_ground_truth() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::F);
    wait_for(&mut window, "Save");
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::Enter);
    wait_until(&mut window, "the promotion", || counts(&project).missed_object == 1);
    let store = Store::open_read_only(&project.database()).unwrap();
    let faces: usize = store.all_ground_truth().unwrap().values().map(Vec::len).sum();
    assert_eq!(faces, 3);
    press(&mut window, Key::F);
    wait_for(&mut window, "Save");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "Hard negative");
    assert_eq!(counts(&project).missed_object, 1);
}

/// What the log says of verdicts and classes, oldest first.
fn classes_given(project: &Project) -> Vec<(Option<Verdict>, Option<ClassId>)> {
    let mut log = project.open_store().unwrap().history(&HistoryQuery::default(), 100).unwrap();
    log.reverse();
    log.into_iter().map(|entry| (entry.record.verdict, entry.record.class)).collect()
}

#[test]
fn with_several_classes_a_verdict_on_an_object_asks_for_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 6, 1, &["face", "animal", "toy"]);
    let class = |name: &str| project.open_store().unwrap().class_by_name(name).unwrap();
    let (animal, toy) = (class("animal"), class("toy"));
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // Typed ahead: digits and letters behind W are the picker's, A and X behind those are verdicts again; Esc decides nothing.
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num2, "2"), (Key::A, "a")]);
    press_at_once(&mut window, &[(Key::W, "w"), (Key::A, "a"), (Key::Escape, ""), (Key::X, "x")]);
    let wrong = Some(Verdict::WrongClass);
    let mut expected = vec![(wrong, animal), (Some(Verdict::Confirmed), None), (Some(Verdict::Rejected), None)];
    wait_until(&mut window, "three verdicts", || classes_given(&project) == expected);
    press(&mut window, Key::W);
    wait_for(&mut window, "Right class of the object");
    press_at_once(&mut window, &[(Key::O, "o"), (Key::T, "t"), (Key::Backspace, ""), (Key::Y, "y"), (Key::Enter, "")]);
    expected.push((wrong, toy));
    wait_until(&mut window, "the filtered class", || classes_given(&project) == expected);
    // The class chosen last is proposed: the first Enter takes it, the second writes the shape.
    press_at_once(&mut window, &[(Key::F, "f"), (Key::Enter, ""), (Key::Enter, "")]);
    expected.push((Some(Verdict::MissedObject), toy));
    wait_until(&mut window, "the missed toy", || classes_given(&project) == expected);
    press(&mut window, Key::W);
    wait_for(&mut window, "animal");
    window.get_by_label("animal").click();
    expected.push((wrong, animal));
    wait_until(&mut window, "the clicked class", || classes_given(&project) == expected);
    assert_eq!((counts(&project).wrong_class, counts(&project).undecided), (3, 12));
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undo", || counts(&project).wrong_class == 2);
}

#[test]
fn with_one_class_nothing_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    assert!(window.query_by_label("Wrong class").is_none(), "not offered");
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num2, "2")]);
    wait_until(&mut window, "the reason", || counts(&project).rejected == 1);
    assert_eq!(counts(&project).undecided, 5);
}

#[test]
fn the_grid_decides_on_everything_selected_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 12);
    wait_for(&mut window, "Candidate 1");
    select_all(&mut window);
    press(&mut window, Key::A);
    wait_until(&mut window, "twelve verdicts", || counts(&project).confirmed == 12);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "one undo for all", || counts(&project).undecided == 12);
}

#[test]
fn digits_and_letters_typed_into_a_field_are_no_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Done");
    window.run_steps(3);
    press(&mut window, Key::A);
    press(&mut window, Key::Num1);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 6);
}

#[test]
fn a_database_that_another_program_holds_stops_the_queue_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let other = rusqlite::Connection::open(project.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    press(&mut window, Key::A);
    press(&mut window, Key::A);
    wait_for(&mut window, "Not saved");
    wait_for(&mut window, "1 of 6");
    other.execute_batch("ROLLBACK").unwrap();
    press(&mut window, Key::X);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 6, "nothing is decided before one goes on");
    press(&mut window, Key::Enter);
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
}

#[test]
fn the_train_screen_shows_the_next_round_and_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Start round 2");
    for label in ["Iterations", "Learning rate", "Hard negatives", "Test splits", "Seed", "Log", "Rounds"] {
        assert!(window.query_all_by_label(label).next().is_some(), "{label}");
    }
}

#[test]
fn a_rounds_report_shows_settings_that_changed_and_keeps_notes() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let table = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,rpn_background,rpn_forced,rpn_ignored\n\
                 1,0,4;9,2,30,96,2,5,7,200,6,1\n";
    std::fs::create_dir_all(project.run_dir(2)).unwrap();
    std::fs::write(project.run_dir(2).join("sampler.csv"), table).unwrap();
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Round 2");
    window.query_all_by_label("Round 2").next().unwrap().click();
    for label in
        ["Report of round 2", "Drawn in 1 mini-batches", "2 of 2 hard negatives of these images were selected", "seed"]
    {
        wait_for(&mut window, label);
    }
    window.get_by_label("Notes").focus();
    window.step();
    window.get_by_label("Notes").type_text("the clocks are gone");
    window.run_steps(3);
    window.get_by_label("Save notes").click();
    let stored = || {
        let store = Store::open_read_only(&project.database()).unwrap();
        store.round_by_number(2).unwrap().unwrap().notes
    };
    wait_until(&mut window, "the notes", || stored() == "the clocks are gone");
}

#[test]
fn the_curves_screen_shows_every_round_with_its_rates() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    for label in ["Continuous score", "Logarithmic", "Linear", "2000"] {
        assert!(window.query_all_by_label(label).next().is_some(), "{label}");
    }
    assert_eq!(window.query_all_by_label("Round 2, rectangle").count(), 2, "a toggle and a row of the table");
}

/// A real click on a curve: the review begins from the score of the point under the pointer.
#[test]
fn a_click_on_a_curve_sets_the_reviews_score() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    wait_for(&mut window, "Continuous score");
    let (title, other) = (window.get_by_label("Discrete score").rect(), window.get_by_label("Continuous score").rect());
    let x = f32::midpoint(title.left(), other.left());
    let is_set = |window: &window::Window| window.query_all_by_label_contains("to 1.00").next().is_some();
    assert!(!is_set(&window));
    // Down the middle of the plot until a curve lies under the pointer.
    for step in 1..18 {
        let at = egui::pos2(x, title.bottom() + 20.0 * step as f32);
        window.hover_at(at);
        window.step();
        for pressed in [true, false] {
            let button = egui::PointerButton::Primary;
            window.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers: Modifiers::NONE });
            window.step();
        }
        if window.query_by_label("Discrete score").is_none() {
            break;
        }
    }
    wait_for_part(&mut window, "to 1.00");
}

/// Average precision lies in the store beside the curves, and is shown for every round that has it.
#[test]
fn the_curves_screen_shows_average_precision() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut store = project.open_store().unwrap();
    let round = store.round_by_number(2).unwrap().unwrap();
    store.append_metrics(round.id, &[(9, "ap", 0.4375), (9, "ap50", 0.8125)]).unwrap();
    drop(store);
    let mut window = window(Screen::Curves, Some(project.dir()));
    for label in ["Round 2, boxes", "AP50", "0.4375", "0.8125"] {
        wait_for(&mut window, label);
    }
}

#[test]
fn the_screens_are_a_key_away_and_all_keys_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Datasets");
    for (key, label) in
        [(Key::Num2, "1 of 6"), (Key::Num3, "Log"), (Key::Num4, "Discrete score"), (Key::Num1, "Datasets")]
    {
        window.key_press_modifiers(Modifiers::COMMAND, key);
        wait_for(&mut window, label);
    }
    press(&mut window, Key::Questionmark);
    wait_for(&mut window, "Adjusting a missed object");
}

/// Candidates and verdicts in the order of the log.
fn log(project: &Project) -> Vec<(CandidateId, Option<Verdict>)> {
    let mut log = project.open_store().unwrap().history(&HistoryQuery::default(), 100).unwrap();
    log.reverse();
    log.into_iter().map(|entry| (entry.record.candidate, entry.record.verdict)).collect()
}

fn queue(project: &Project) -> Vec<CandidateId> {
    project.open_store().unwrap().candidate_ids(&CandidateQuery::default()).unwrap()
}

/// Keys and the verdicts that they give.
const STROKES: [(Key, &str, Verdict); 12] = [
    (Key::A, "a", Verdict::Confirmed),
    (Key::X, "x", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
    (Key::Space, " ", Verdict::Skipped),
    (Key::Num3, "3", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
    (Key::X, "x", Verdict::Rejected),
    (Key::X, "x", Verdict::Rejected),
    (Key::Space, " ", Verdict::Skipped),
    (Key::A, "a", Verdict::Confirmed),
    (Key::Num9, "9", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
];

fn strokes() -> Vec<(Key, &'static str)> {
    STROKES.iter().map(|(key, text, _)| (*key, *text)).collect()
}

fn expected(ids: &[CandidateId]) -> Vec<(CandidateId, Option<Verdict>)> {
    ids.iter().zip(STROKES).map(|(id, (_, _, verdict))| (*id, Some(verdict))).collect()
}

#[test]
fn many_keys_between_two_frames_are_all_decided_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    press_at_once(&mut window, &strokes());
    wait_for(&mut window, "13 of 18");
    wait_until(&mut window, "the verdicts", || log(&project).len() == STROKES.len());
    assert_eq!(log(&project), expected(&ids));
}

fn sent(window: &Window, command: &egui::ViewportCommand) -> bool {
    window.output().viewport_output[&egui::ViewportId::ROOT].commands.contains(command)
}

#[test]
fn a_window_that_is_closed_while_keys_wait_decides_on_them_first() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    let other = rusqlite::Connection::open(project.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    window.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default().events.push(egui::ViewportEvent::Close);
    press_at_once(&mut window, &strokes());
    assert!(sent(&window, &egui::ViewportCommand::CancelClose), "keys are still waiting");
    other.execute_batch("ROLLBACK").unwrap();
    run_until(&mut window, "the end", |window| sent(window, &egui::ViewportCommand::Close));
    drop(window);
    assert_eq!(log(&project), expected(&ids));
}

#[test]
fn a_key_means_what_it_does_when_its_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // X is nothing while the ellipse is open, the arrow moves it, Esc leaves it.
    let keys = [Key::A, Key::F, Key::X, Key::ArrowRight, Key::Enter, Key::F, Key::X, Key::Escape, Key::X];
    press_at_once(&mut window, &keys.map(|key| (key, "")));
    let expected = [Verdict::Confirmed, Verdict::MissedObject, Verdict::Rejected];
    wait_until(&mut window, "three verdicts", || log(&project).len() == 3);
    assert_eq!(log(&project), ids.iter().copied().zip(expected.map(Some)).collect::<Vec<_>>());
}

#[test]
fn letters_typed_before_the_filters_field_is_there_are_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    let name = [Key::S, Key::C, Key::E, Key::N, Key::E].into_iter().zip(["s", "c", "e", "n", "e"]);
    let digits = [(Key::Minus, "_"), (Key::Num0, "0"), (Key::Num0, "0"), (Key::Num0, "0"), (Key::Num2, "2")];
    let mut keys = vec![(Key::A, "a"), (Key::Slash, "/"), (Key::X, "x"), (Key::Backspace, "")];
    keys.extend(name.chain(digits));
    keys.extend([(Key::Enter, ""), (Key::Num4, "4")]);
    press_at_once(&mut window, &keys);
    wait_for(&mut window, "Name has “scene_0002”");
    wait_until(&mut window, "two verdicts", || log(&project).len() == 2);
    let store = project.open_store().unwrap();
    let decided: Vec<_> = log(&project).iter().map(|(id, _)| store.candidate_row(*id).unwrap()).collect();
    assert_eq!(decided[1].candidate.verdict, Some(Verdict::Rejected));
    assert_eq!(decided[1].image_name, "scene_0002");
    assert_eq!(counts(&project).undecided, 10);
}

#[test]
fn letters_go_to_the_field_once_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    press_at_once(&mut window, &[(Key::Slash, "/"), (Key::S, "s"), (Key::C, "c")]);
    press_at_once(&mut window, &[(Key::E, "e"), (Key::N, "n")]);
    wait_for(&mut window, "Name has “scen”");
    press_at_once(&mut window, &[(Key::E, "e")]);
    wait_for(&mut window, "Name has “scene”");
    // Tab goes to the next field of the filter, where Space and letters are no verdicts either.
    press_at_once(&mut window, &[(Key::Tab, "")]);
    window.run_steps(2);
    press_at_once(&mut window, &[(Key::Space, " "), (Key::A, "a")]);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 12);
}

#[test]
fn an_undo_of_a_large_stroke_keeps_the_place_for_the_keys_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 30, 1);
    let first = queue(&project)[0];
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 90);
    select_all(&mut window);
    press_at_once(&mut window, &[(Key::A, "a"), (Key::Backspace, ""), (Key::X, "x")]);
    let expected = VerdictCounts { undecided: 89, rejected: 1, ..VerdictCounts::default() };
    wait_until(&mut window, "the verdict after the undo", || counts(&project) == expected);
    let row = project.open_store().unwrap().candidate_row(first).unwrap();
    assert_eq!(row.candidate.verdict, Some(Verdict::Rejected));
}

#[test]
fn ground_truth_detections_and_box_are_switched_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let labels = ["Ground truth", "Detections", "Box"];
    let shown = |window: &Window| {
        let is_on =
            |label| window.get_by_label(label).accesskit_node().toggled() == Some(egui::accesskit::Toggled::True);
        labels.map(is_on)
    };
    let mut expected = [true; 3];
    for (key, index) in [(Key::B, 0), (Key::D, 1), (Key::C, 2), (Key::B, 0), (Key::C, 2), (Key::D, 1)] {
        press(&mut window, key);
        window.run_steps(2);
        expected[index] = !expected[index];
        assert_eq!(shown(&window), expected, "{key:?}");
    }
    assert_eq!(counts(&project).undecided, 6);
}

#[test]
fn an_interval_that_was_chosen_stays_while_the_iterations_are_typed() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Start round 2");
    let field =
        |label: &'static str| move |window: &Window| window.query_by_role_and_label(Role::SpinButton, label).is_some();
    let enter = |window: &mut Window, label: &'static str, text: &str| {
        run_until(window, label, field(label));
        window.get_by_role_and_label(Role::SpinButton, label).click();
        window.run_steps(3);
        // A digit at a time, each of which is a number of iterations.
        for digit in text.chars() {
            window.event(egui::Event::Text(digit.to_string()));
            window.step();
        }
        press(window, Key::Enter);
        window.run_steps(3);
    };
    let value = |window: &Window, label: &str| {
        window.get_by_role_and_label(Role::SpinButton, label).accesskit_node().numeric_value().unwrap()
    };
    enter(&mut window, "Checkpoint every", "1");
    enter(&mut window, "Iterations", "5000");
    assert_eq!((value(&window, "Iterations"), value(&window, "Checkpoint every")), (5000.0, 1.0));
}

#[test]
fn a_name_that_was_typed_counts_when_a_key_leaves_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, Some(project.dir()));
    let field = |window: &Window| window.query_by_role_and_label(Role::TextInput, "Annotator").is_some();
    run_until(&mut window, "the annotator's field", field);
    window.get_by_role_and_label(Role::TextInput, "Annotator").focus();
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.get_by_role_and_label(Role::TextInput, "Annotator").type_text("Grace");
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    let log = project.open_store().unwrap().history(&HistoryQuery::default(), 1).unwrap();
    assert!(log[0].record.annotator.contains("Grace"), "{}", log[0].record.annotator);
}
