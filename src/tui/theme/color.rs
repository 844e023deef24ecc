//! Colours: read from text, brought down to a smaller palette, compared.

use ratatui::style::Color;

use crate::tui::state::Colors;

/// What a theme file may write for a colour.
pub const ACCEPTED: &str =
    "\"#rrggbb\", an ANSI name such as \"red\" or \"bright-red\", 0 to 255, or \"default\"";

/// The sixteen by name, in the order of their numbers.
const ANSI: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

/// The sixteen as most terminals show them: only used to find the nearest.
const ANSI_RGB: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 49, 49),
    (13, 188, 121),
    (229, 229, 16),
    (36, 114, 200),
    (188, 63, 188),
    (17, 168, 205),
    (204, 204, 204),
    (118, 118, 118),
    (241, 76, 76),
    (35, 209, 139),
    (245, 245, 67),
    (59, 142, 234),
    (214, 112, 214),
    (41, 184, 219),
    (255, 255, 255),
];

/// The six steps of each channel in the 256-colour cube.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// A colour by name or as `#rrggbb`; `default` is the terminal's own.
pub fn parse(text: &str) -> Option<Color> {
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some(hex) = text.strip_prefix('#') {
        let is_hex = hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let number = is_hex.then(|| u32::from_str_radix(hex, 16).ok()).flatten()?;
        let [_, red, green, blue] = number.to_be_bytes();
        return Some(Color::Rgb(red, green, blue));
    }
    ANSI.iter().find(|(name, _)| *name == text).map(|(_, color)| *color)
}

/// The nearest colour the terminal has; `None` where it has none.
pub fn bring_down(color: Color, colors: Colors) -> Option<Color> {
    match colors {
        Colors::None => None,
        Colors::TrueColor => Some(color),
        Colors::Indexed256 => Some(match color {
            Color::Rgb(red, green, blue) => Color::Indexed(nearest_256(red, green, blue)),
            other => other,
        }),
        Colors::Ansi16 => Some(match color {
            Color::Rgb(..) | Color::Indexed(_) => rgb(color).map_or(color, nearest_16),
            other => other,
        }),
    }
}

fn nearest_256(red: u8, green: u8, blue: u8) -> u8 {
    let step = |value: u8| {
        (0..6).min_by_key(|i| STEPS[usize::from(*i)].abs_diff(value)).unwrap_or_default()
    };
    let cube = 16 + 36 * step(red) + 6 * step(green) + step(blue);
    let mean = (u16::from(red) + u16::from(green) + u16::from(blue)) / 3;
    let grey = 232 + (mean.saturating_sub(3) / 10).min(23) as u8;
    let wanted = (red, green, blue);
    let nearer = [cube, grey].into_iter().min_by_key(|index| distance(indexed(*index), wanted));
    nearer.unwrap_or(cube)
}

fn nearest_16(wanted: (u8, u8, u8)) -> Color {
    let spread = wanted.0.max(wanted.1).max(wanted.2) - wanted.0.min(wanted.1).min(wanted.2);
    // A muted colour must not turn into a loud one: greys go to greys, and a
    // colour that means something must not turn grey.
    let greys: &[usize] = &[0, 7, 8, 15];
    let candidates = (0..16).filter(|i| (spread <= 40) == greys.contains(i));
    let nearest = candidates.min_by_key(|i| distance(ANSI_RGB[*i], wanted)).unwrap_or(7);
    ANSI[nearest].1
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)
}

fn indexed(index: u8) -> (u8, u8, u8) {
    match index {
        0..16 => ANSI_RGB[usize::from(index)],
        16..232 => {
            let cube = usize::from(index - 16);
            (STEPS[cube / 36], STEPS[cube / 6 % 6], STEPS[cube % 6])
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    }
}

fn rgb(color: Color) -> Option<(u8, u8, u8)> {
    match color {
        Color::Rgb(red, green, blue) => Some((red, green, blue)),
        Color::Indexed(index) => Some(indexed(index)),
        named => ANSI.iter().position(|(_, known)| *known == named).map(|i| ANSI_RGB[i]),
    }
}

/// The contrast of two colours as WCAG has it, from 1 to 21; 1 where one of
/// them is the terminal's own.
#[cfg(test)]
pub fn contrast(one: Color, other: Color) -> f64 {
    fn light((red, green, blue): (u8, u8, u8)) -> f64 {
        let linear = |value: u8| {
            let share = f64::from(value) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }
    let (Some(one), Some(other)) = (rgb(one), rgb(other)) else { return 1.0 };
    let (one, other) = (light(one), light(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_in_each_form() {
        assert_eq!(parse("#10Ff00"), Some(Color::Rgb(16, 255, 0)));
        assert_eq!(parse("bright-black"), Some(Color::DarkGray));
        assert_eq!(parse("default"), Some(Color::Reset));
        assert_eq!((parse("#12345"), parse("mauve"), parse("#+12345")), (None, None, None));
    }

    #[test]
    fn the_nearest_of_256_is_near() {
        assert_eq!(
            bring_down(Color::Rgb(255, 0, 0), Colors::Indexed256),
            Some(Color::Indexed(196))
        );
        assert_eq!(bring_down(Color::Rgb(8, 8, 8), Colors::Indexed256), Some(Color::Indexed(232)));
    }

    #[test]
    fn greys_stay_grey_in_sixteen() {
        assert_eq!(bring_down(Color::Rgb(120, 128, 130), Colors::Ansi16), Some(Color::DarkGray));
        assert_eq!(bring_down(Color::Rgb(230, 80, 80), Colors::Ansi16), Some(Color::LightRed));
    }
}
