//! The window's icon, drawn at startup: a detection box with a hard negative mark.

use egui::IconData;

const SIDE: usize = 64;

pub(super) fn icon() -> IconData {
    let mut rgba = Vec::with_capacity(SIDE * SIDE * 4);
    for y in 0..SIDE {
        for x in 0..SIDE {
            rgba.extend(pixel(x as f32 + 0.5, y as f32 + 0.5));
        }
    }
    IconData { rgba, width: SIDE as u32, height: SIDE as u32 }
}

fn pixel(x: f32, y: f32) -> [u8; 4] {
    let side = SIDE as f32;
    // Distance to the edge of a square with rounded corners, negative inside.
    let square = |margin: f32, radius: f32| {
        let half = side / 2.0 - margin - radius;
        let (dx, dy) = (((x - side / 2.0).abs() - half).max(0.0), ((y - side / 2.0).abs() - half).max(0.0));
        dx.hypot(dy) - radius
    };
    // Distance to a line from one point to another.
    let line = |(ax, ay): (f32, f32), (bx, by): (f32, f32)| {
        let (dx, dy) = (bx - ax, by - ay);
        let at = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        (x - ax - at * dx).hypot(y - ay - at * dy)
    };
    let tick = line((23.0, 33.0), (30.0, 40.0)).min(line((30.0, 40.0), (42.0, 25.0)));
    if square(1.0, 12.0) > 0.0 {
        [0, 0, 0, 0]
    } else if tick < 2.6 {
        [0x5f, 0xd9, 0xac, 0xff]
    } else if square(12.0, 4.0).abs() < 2.2 {
        [0xff, 0x8a, 0x3c, 0xff]
    } else {
        [0x18, 0x1c, 0x22, 0xff]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_is_a_whole_image_with_clear_corners() {
        let icon = icon();
        assert_eq!(icon.rgba.len(), SIDE * SIDE * 4);
        assert_eq!((icon.rgba[3], icon.rgba[(SIDE * SIDE / 2 + SIDE / 2) * 4 + 3]), (0, 255));
    }
}
