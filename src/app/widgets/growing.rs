//! A scrolled list in a window that takes the height of its content.

use egui::ScrollArea;

/// As high as its content, `most` points at most. The window's last size does not limit it: what was short may become long.
pub fn growing(most: f32) -> ScrollArea {
    ScrollArea::vertical().max_height(most).min_scrolled_height(most).auto_shrink([false, true])
}
