//! What surrounds the screens: palette, settings, status bar, places in lists.

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::command::Screen;
use quarry::domain::CandidateId;
use quarry::store::HistoryQuery;

use super::app_project;
use super::window::{Window, counts, press, run_until, wait_for, wait_for_part, wait_until, window};
use super::{click, queue};

fn ctrl(window: &mut Window, key: Key) {
    window.key_press_modifiers(Modifiers::COMMAND, key);
    window.step();
}

fn type_text(window: &mut Window, text: &str) {
    window.event(egui::Event::Text(text.to_owned()));
    window.run_steps(2);
}

#[test]
fn the_palette_does_any_action_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    ctrl(&mut window, Key::K);
    wait_for(&mut window, "Command");
    type_text(&mut window, "skip");
    press(&mut window, Key::Enter);
    wait_until(&mut window, "the skip", || counts(&project).skipped == 1);
    run_until(&mut window, "the palette's end", |window| window.query_by_label("Command").is_none());
    // Letters in the palette are not verdicts, and an action of another screen first shows that screen.
    ctrl(&mut window, Key::Num4);
    wait_for_part(&mut window, "Round 1");
    ctrl(&mut window, Key::K);
    wait_for(&mut window, "Command");
    type_text(&mut window, "hard negative");
    press(&mut window, Key::Enter);
    wait_for_part(&mut window, "of 6");
    assert_eq!(counts(&project).confirmed, 0, "nobody decides on what is not on the screen");
    ctrl(&mut window, Key::K);
    wait_for(&mut window, "Command");
    press(&mut window, Key::Escape);
    run_until(&mut window, "the palette's end", |window| window.query_by_label("Command").is_none());
}

/// An action that only shows something is done from every screen, not just its screen shown.
#[test]
fn the_palette_opens_the_history_and_the_grid_from_another_screen() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    let is_train = |window: &Window| window.query_all_by_label("Seed").next().is_some();
    run_until(&mut window, "the train screen", is_train);
    let choose = |window: &mut Window, text: &str| {
        ctrl(window, Key::Num3);
        run_until(window, "the train screen", is_train);
        ctrl(window, Key::K);
        wait_for(window, "Command");
        type_text(window, text);
        press(window, Key::Enter);
    };
    choose(&mut window, "history");
    wait_for(&mut window, "Search the history");
    choose(&mut window, "grid");
    wait_for(&mut window, "6 candidates");
    // The Images screen, which has keys of the review, has no history.
    ctrl(&mut window, Key::Num5);
    wait_for(&mut window, "2 of 2 images");
    ctrl(&mut window, Key::K);
    wait_for(&mut window, "Command");
    type_text(&mut window, "history");
    press(&mut window, Key::Enter);
    wait_for(&mut window, "Search the history");
    press(&mut window, Key::Escape);
    let is_grid = |window: &Window| window.state().as_ref().is_some_and(|app| app.last_place().unwrap().is_grid);
    run_until(&mut window, "the grid", is_grid);
}

#[test]
fn a_number_and_home_end_and_pages_go_to_places_of_the_list() {
    let dir = tempfile::tempdir().unwrap();
    // More than one page of rows, so that the last one is not loaded at first.
    let project = app_project::make(dir.path(), 200, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 600");
    ctrl(&mut window, Key::G);
    wait_for(&mut window, "Go to number");
    type_text(&mut window, "587");
    press(&mut window, Key::Enter);
    wait_for(&mut window, "587 of 600");
    for (key, place) in [
        (Key::Home, 1),
        (Key::PageDown, 11),
        (Key::PageUp, 1),
        (Key::End, 600),
        (Key::PageDown, 600),
        (Key::PageUp, 590),
    ] {
        press(&mut window, key);
        wait_for(&mut window, &format!("{place} of 600"));
    }
    ctrl(&mut window, Key::K);
    wait_for(&mut window, "Command");
    type_text(&mut window, "99999");
    press(&mut window, Key::Enter);
    wait_for(&mut window, "600 of 600");
}

#[test]
fn a_drag_over_the_grid_selects_a_rectangle() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 10, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    super::open_grid(&mut window, 30);
    let cell = |index: usize| format!("Candidate {}", ids[index]);
    wait_for(&mut window, &cell(20));
    let rects: Vec<_> = (0..21).map(|index| window.get_by_label(&cell(index)).rect()).collect();
    let columns = rects.iter().position(|rect| rect.top() > rects[0].bottom()).unwrap();
    let (from, to) = (rects[1].center(), rects[2 * columns + 2].center());
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.event(egui::Event::PointerMoved(from));
    window.event(button(from, true));
    window.step();
    window.event(egui::Event::PointerMoved(to));
    window.run_steps(3);
    window.event(button(to, false));
    window.run_steps(3);
    press(&mut window, Key::A);
    wait_until(&mut window, "six verdicts", || counts(&project).confirmed == 6);
    let log = project.open_store().unwrap().history(&HistoryQuery::default(), 20).unwrap();
    let mut decided: Vec<CandidateId> = log.iter().map(|entry| entry.record.candidate).collect();
    decided.sort_unstable();
    let mut expected: Vec<_> = (0..3).flat_map(|row| [1, 2].map(|column| ids[row * columns + column])).collect();
    expected.sort_unstable();
    assert_eq!(decided, expected);
}

#[test]
fn keys_are_changed_with_a_check_for_conflicts_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let file = dir.path().join("config/keys.toml");
    let mut window = window(Screen::Settings, Some(project.dir()));
    // All settings are visible.
    window.set_size(egui::vec2(1440.0, 1500.0));
    wait_for(&mut window, "Change the keys of Hard negative");
    window.state_mut().as_mut().unwrap().keep_keys_in(file.clone());
    let record = |window: &mut Window| {
        click(window, "Change the keys of Hard negative");
        wait_for(window, "Press keys, Esc to cancel");
    };
    record(&mut window);
    press(&mut window, Key::X);
    wait_for(&mut window, "X is Reject");
    assert!(!file.exists());
    press(&mut window, Key::M);
    wait_for(&mut window, "Reset the keys of Hard negative");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("confirm = [\"M\"]") && !text.contains("reject"), "{text}");
    ctrl(&mut window, Key::Num2);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::A);
    press(&mut window, Key::M);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    assert_eq!(counts(&project).undecided, 5, "A means nothing any more");
}

#[test]
fn the_theme_changes_the_window_and_a_verdict_may_stay_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Settings, Some(project.dir()));
    wait_for(&mut window, "Light");
    click(&mut window, "Light");
    run_until(&mut window, "the light theme", |window| window.ctx.theme() == egui::Theme::Light);
    click(&mut window, "Dark");
    run_until(&mut window, "the dark theme", |window| window.ctx.theme() == egui::Theme::Dark);
    click(&mut window, "Go to the next candidate after a verdict");
    ctrl(&mut window, Key::Num2);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::ArrowRight);
    wait_for(&mut window, "2 of 6");
}

#[test]
fn enter_in_the_path_field_opens_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, None);
    wait_for(&mut window, "Project folder");
    window.get_by_label("Project folder").focus();
    run_until(&mut window, "the cursor", |window| window.ctx.text_edit_focused());
    type_text(&mut window, &project.dir().display().to_string());
    press(&mut window, Key::Enter);
    wait_for_part(&mut window, "Next: ");
}

#[test]
fn the_status_bar_says_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Ready");
    wait_for_part(&mut window, "CPU");
    if cfg!(target_os = "linux") {
        wait_for_part(&mut window, " MB");
    }
}

fn is_focused(window: &Window, role: Role, name: &str) -> bool {
    window.query_by_role_and_label(role, name).is_some_and(|node| node.accesskit_node().is_focused())
}

#[test]
fn esc_closes_the_log_and_the_focus_returns() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let is_open = |window: &Window| window.query_by_label("Copy the log").is_some();
    let mut window = window(Screen::Train, Some(project.dir()));
    run_until(&mut window, "the log's button", |window| window.query_by_role_and_label(Role::Button, "Log").is_some());
    window.get_by_role_and_label(Role::Button, "Log").focus();
    window.run_steps(2);
    press(&mut window, Key::Enter);
    wait_for(&mut window, "Copy the log");
    window.get_by_label("Copy the log").focus();
    window.run_steps(2);
    press(&mut window, Key::Escape);
    run_until(&mut window, "the log's end", |window| !is_open(window));
    run_until(&mut window, "the focus on its button", |window| is_focused(window, Role::Button, "Log"));
    // Where Esc has another meaning, it first closes the log.
    ctrl(&mut window, Key::Num2);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::G);
    wait_for(&mut window, "6 candidates");
    super::select_all(&mut window);
    wait_for(&mut window, "all selected");
    window.get_by_role_and_label(Role::Button, "Log").click_accesskit();
    wait_for(&mut window, "Copy the log");
    press(&mut window, Key::Escape);
    run_until(&mut window, "the log's end", |window| !is_open(window));
    assert!(window.query_by_label("all selected").is_some());
    press(&mut window, Key::Escape);
    run_until(&mut window, "the selection's end", |window| window.query_by_label("all selected").is_none());
}

#[test]
fn a_list_closes_when_a_key_chooses_and_keeps_the_focus() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    window.set_size(egui::vec2(1440.0, 1500.0));
    run_until(&mut window, "the list", |window| window.query_by_role_and_label(Role::ComboBox, "Sampler").is_some());
    let other = "Mined first, then OHEM";
    for (key, chosen) in [(Key::Enter, "Highest loss (OHEM)"), (Key::Space, "Random")] {
        window.get_by_role_and_label(Role::ComboBox, "Sampler").focus();
        window.run_steps(2);
        press(&mut window, Key::Enter);
        wait_for(&mut window, other);
        window.run_steps(3);
        assert!(window.query_by_label(other).is_some(), "the key that opens it does not close it");
        window.query_all_by_label(chosen).last().unwrap().focus();
        window.run_steps(2);
        press(&mut window, key);
        run_until(&mut window, "the list's end", |window| window.query_by_label(other).is_none());
        run_until(&mut window, "the focus", |window| is_focused(window, Role::ComboBox, "Sampler"));
        let value = window.get_by_role_and_label(Role::ComboBox, "Sampler").accesskit_node().value();
        assert_eq!(value.as_deref(), Some(chosen));
    }
    // Esc leaves it without a choice.
    press(&mut window, Key::Enter);
    wait_for(&mut window, other);
    window.run_steps(3);
    press(&mut window, Key::Escape);
    run_until(&mut window, "the list's end", |window| window.query_by_label(other).is_none());
    run_until(&mut window, "the focus", |window| is_focused(window, Role::ComboBox, "Sampler"));
}
