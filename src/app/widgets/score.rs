//! The slider of a score threshold.

use egui::Slider;

/// A slider from 0 to 1 with two decimals, or as many as the value has. egui's own number of decimals depends on the display's scale.
pub fn score_slider(score: &mut f32) -> Slider<'_> {
    Slider::new(score, 0.0..=1.0).step_by(0.01).max_decimals(6).custom_formatter(|value, _| score_text(value))
}

fn score_text(score: f64) -> String {
    let text = format!("{score:.6}");
    let short = text.trim_end_matches('0');
    let has_two = short.len() >= "0.00".len();
    if has_two { short.to_owned() } else { format!("{score:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_has_two_decimals_or_its_own() {
        let texts = [0.0, 0.5, 0.53, 0.9, 1.0, 0.123, 0.987_654].map(|score: f32| score_text(f64::from(score)));
        assert_eq!(texts, ["0.00", "0.50", "0.53", "0.90", "1.00", "0.123", "0.987654"]);
    }
}
