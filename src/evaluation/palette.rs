//! Colours and line styles of curves, for the screen and for figures: stable per curve, distinguishable with red-green colour blindness and
//! in black and white.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Okabe and Ito's colour-blind safe palette, without yellow, which is invisible on white.
pub const COLOURS: [Rgb; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0], [64, 64, 64]];

/// Dash and gap lengths in points; empty is a solid line. Neighbouring entries differ most.
pub const DASHES: [&[u32]; 24] = [
    &[],
    &[8, 4],
    &[2, 3],
    &[10, 3, 2, 3],
    &[16, 4],
    &[4, 4],
    &[10, 3, 2, 3, 2, 3],
    &[2, 7],
    &[14, 3, 6, 3],
    &[6, 3, 6, 3, 2, 3],
    &[24, 5],
    &[14, 3, 2, 3, 2, 3, 2, 3],
    &[8, 9],
    &[4, 9],
    &[16, 9],
    &[22, 3, 2, 3],
    &[4, 3, 2, 3],
    &[22, 3, 8, 3],
    &[8, 3, 8, 9],
    &[2, 3, 2, 9],
    &[4, 3, 4, 9],
    &[16, 3, 16, 9],
    &[24, 9, 2, 9],
    &[10, 3, 4, 3, 4, 3],
];

/// Colour of third-party curves, drawn behind the project's own.
pub const PUBLISHED: Rgb = [140, 140, 140];

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurveStyle {
    /// Index of the palette colour; `None` for third-party curves.
    pub colour: Option<usize>,
    pub dash: &'static [u32],
    /// Index among the third-party curves, which the window distinguishes by colour.
    pub reference: Option<usize>,
    /// Part of another curve, such as a fold.
    pub thin: bool,
}

/// The style of an own curve with this colour and dash index.
pub fn curve_style(colour: usize, dash: usize) -> CurveStyle {
    CurveStyle { colour: Some(colour), dash: DASHES[dash % DASHES.len()], reference: None, thin: false }
}

/// The style of the imported curve with this index: never solid, which marks own curves.
pub fn imported_style(number: usize) -> CurveStyle {
    let dash = DASHES[1 + number % (DASHES.len() - 1)];
    CurveStyle { colour: None, dash, reference: Some(number), thin: true }
}

impl CurveStyle {
    /// The colour on a white background.
    pub fn rgb(&self) -> Rgb {
        self.colour.map_or(PUBLISHED, |number| COLOURS[number % COLOURS.len()])
    }
}

/// Returns the start and end of each dash along a line. `line` is in the units of `dash`.
pub fn strokes(line: &[(f64, f64)], dash: &[u32], unit: f64) -> Vec<Vec<(f64, f64)>> {
    if dash.is_empty() || line.len() < 2 {
        return vec![line.to_vec()];
    }
    let pattern: Vec<f64> = dash.iter().map(|d| f64::from(*d) * unit).collect();
    let (mut part, mut left) = (0, pattern[0]);
    let mut strokes = vec![vec![line[0]]];
    for pair in line.windows(2) {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        let length = (bx - ax).hypot(by - ay);
        let mut done = 0.0;
        while left < length - done {
            done += left;
            let at = (ax + (bx - ax) * done / length, ay + (by - ay) * done / length);
            if part % 2 == 0 {
                strokes.last_mut().into_iter().for_each(|stroke| stroke.push(at));
            } else {
                strokes.push(vec![at]);
            }
            part = (part + 1) % pattern.len();
            left = pattern[part];
        }
        left -= length - done;
        if part % 2 == 0 {
            strokes.last_mut().into_iter().for_each(|stroke| stroke.push((bx, by)));
        }
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dash_is_its_own() {
        for (k, a) in DASHES.iter().enumerate() {
            assert!(DASHES[..k].iter().all(|b| b != a), "{k}");
            assert!(a.len() % 2 == 0, "{k}: strokes and gaps");
        }
    }

    #[test]
    fn dashes_run_through_corners() {
        let line = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0)];
        assert_eq!(strokes(&line, &[], 1.0), [line.to_vec()]);
        let cut = strokes(&line, &[2, 3], 1.0);
        assert_eq!(cut, [vec![(0.0, 0.0), (2.0, 0.0)], vec![(3.0, 2.0), (3.0, 4.0)]]);
    }
}
