//! How many parameters a model has, as servers and people write it.

/// `3B`, `500M`, `1.5 b`, or a whole number. `None` for anything else.
pub fn from_text(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (figure, unit) = text.split_at(split);
    let each = match unit.trim().to_ascii_lowercase().as_str() {
        "" => return figure.parse().ok(),
        "k" => 1e3,
        "m" => 1e6,
        "b" => 1e9,
        "t" => 1e12,
        _ => return None,
    };
    let parameters = figure.parse::<f64>().ok()? * each;
    // No model comes near it, and beyond it a count is no longer exact.
    (parameters <= 1e15).then_some(parameters.round() as u64)
}

/// `3B`, `500M`.
pub fn to_text(parameters: u64) -> String {
    match parameters {
        0..1_000_000 => parameters.to_string(),
        1_000_000..1_000_000_000 => format!("{}M", parameters as f64 / 1e6),
        _ => format!("{}B", parameters as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_people_and_servers_say_them() {
        assert_eq!(from_text("3B"), Some(3_000_000_000));
        assert_eq!(from_text(" 1.5 b "), Some(1_500_000_000));
        assert_eq!(from_text("999.89M"), Some(999_890_000));
        assert_eq!(from_text("22.7K"), Some(22_700));
        assert_eq!(from_text("7"), Some(7));
        for wrong in ["", "B", ".", "3 GiB", "-3B", "1.5", "1.2.3B", "9999999999T", "é"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn they_are_written_shortly() {
        assert_eq!(to_text(3_200_000_000), "3.2B");
        assert_eq!(to_text(500_000_000), "500M");
        assert_eq!(to_text(7), "7");
    }
}
