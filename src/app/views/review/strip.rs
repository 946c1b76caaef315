//! The shown candidate's group as a strip of thumbnails, so that the effect of a decision on the group is visible.

use egui::{Align2, Rect, Sense, Ui, pos2, vec2};

use super::{ReviewView, grid};
use crate::app::command::{Command, ReviewCommand, verdict_text};
use crate::app::theme;
use crate::app::widgets::canvas;
use crate::store::CandidateRow;

/// Side of a thumbnail in points, and the space between two.
const SIDE: f32 = 64.0;
const GAP: f32 = 4.0;

/// Returns how many members are shown, and whether they are all; `None` without a group or without room.
fn plan(view: &ReviewView<'_>, row: &CandidateRow, image: Rect) -> Option<(usize, bool)> {
    let (_, members) = view.model.members.as_ref().filter(|(group, _)| row.group == Some(*group))?;
    let room = ((image.width() - GAP) / (SIDE + GAP)).floor().max(0.0) as usize;
    // The last slot shows the number of further members.
    let is_whole = row.group_size as usize <= room.min(members.len());
    let shown = if is_whole { members.len() } else { room.saturating_sub(1).min(members.len()) };
    (shown > 0 && image.height() >= 3.0 * SIDE).then_some((shown, is_whole))
}

/// Returns the height of the strip at the image's lower edge, in points.
pub(super) fn height(view: &ReviewView<'_>, row: &CandidateRow, image: Rect) -> f32 {
    if plan(view, row, image).is_some() { SIDE + 2.0 * GAP } else { 0.0 }
}

/// Draws as many as fit at the lower edge of the image; a click goes to the candidate.
pub(super) fn show(ui: &Ui, view: &mut ReviewView<'_>, row: &CandidateRow, image: Rect) {
    let Some((shown, is_whole)) = plan(view, row, image) else { return };
    let Some((_, members)) = &view.model.members else { return };
    let count = shown + usize::from(!is_whole);
    let top = image.bottom() - height(view, row, image);
    let band = Rect::from_min_max(
        pos2(image.left(), top),
        pos2(image.left() + GAP + count as f32 * (SIDE + GAP), image.bottom()),
    );
    ui.painter().rect_filled(band, theme::IMAGE_RADIUS, theme::faded(theme::BACKGROUND, 0.85));
    let place = |at: usize| {
        Rect::from_min_size(pos2(image.left() + GAP + at as f32 * (SIDE + GAP), top + GAP), vec2(SIDE, SIDE))
    };
    let mut clicked = None;
    for (at, member) in members[..shown].iter().cloned().enumerate() {
        let rect = place(at);
        let candidate = &member.candidate;
        let response = ui.interact(rect, ui.scope_id().with(("member", candidate.id)), Sense::click());
        let state = candidate.verdict.map_or("undecided", verdict_text);
        let label = format!("Group member {}, {state}", candidate.id);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
        let fit = canvas::fit_region(&canvas::context_region(&candidate.bbox, grid::CONTEXT), rect);
        let picture = view.textures.show(grid::request(&member));
        canvas::paint_image(ui.painter(), rect, &fit, &picture);
        let (color, width) = match candidate.verdict {
            _ if candidate.id == row.candidate.id => (theme::CANDIDATE, 2.5),
            Some(_) => (theme::verdict(candidate.verdict), 2.0),
            None => (theme::BORDER, 1.0),
        };
        canvas::paint_frame(ui.painter(), rect, color, width);
        let hint = format!("{}, {:.2}: {state}", member.image_name, candidate.score);
        if response.on_hover_text(hint).clicked() {
            clicked = Some(candidate.id);
        }
    }
    if !is_whole {
        let more = format!("+{}", (row.group_size as usize).saturating_sub(shown));
        canvas::paint_tag(ui.painter(), place(shown).center(), Align2::CENTER_CENTER, &more, theme::ACCENT);
    }
    if let Some(candidate) = clicked {
        view.commands.push(Command::Review(ReviewCommand::Revisit(candidate)));
    }
}
