//! The terminal's background, by its own word: asked once at the start, and
//! answered, if at all, among the keys, whenever the line brings it.
//!
//! Nothing waits for the answer. Keys that could be its beginning are held
//! back until they are not, then they count in their order: none is lost.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Asks for the background's colour (xterm's OSC 11).
pub const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";

/// An answer that has not come by then does not come any more; the slowest
/// lines take a second or two.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How every answer begins, after its escape; some say `rgba`.
const BEGINNING: &str = "]11;rgb";

/// `rgba:ffff/ffff/ffff/ffff` and no more.
const LONGEST: usize = 32;

/// Listens for the answer among the keys.
#[derive(Debug, Default)]
pub struct Listener {
    held: Vec<KeyEvent>,
    text: String,
    /// The last key was an escape: a line may part an answer there.
    after_escape: bool,
    is_over: bool,
}

/// What a key turned out to be.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Keys, in the order they were pressed; none while they are held back.
    Keys(Vec<KeyEvent>),
    Background {
        is_light: bool,
    },
}

impl Listener {
    /// `since`: how long ago the question was put.
    pub fn hear(&mut self, key: KeyEvent, since: Duration) -> Heard {
        if self.is_over || since > LONGEST_WAIT {
            self.is_over = true;
            return self.release(Some(key));
        }
        let character = match key.code {
            KeyCode::Char(c) => Some(c),
            _ => None,
        };
        let is_plain = (key.modifiers - KeyModifiers::SHIFT).is_empty();
        let is_alt = key.modifiers == KeyModifiers::ALT;
        let was_escape = std::mem::replace(&mut self.after_escape, key.code == KeyCode::Esc);
        if self.text.is_empty() {
            let is_start = character == Some(']') && (is_alt || (was_escape && is_plain));
            if !is_start {
                return Heard::Keys(vec![key]);
            }
            return self.hold(key, ']');
        }
        match character {
            Some(c) if is_plain && !was_escape && self.goes_on_with(c) => self.hold(key, c),
            Some('\\') if is_alt || was_escape => self.end(key),
            Some('g') if key.modifiers == KeyModifiers::CONTROL => self.end(key),
            None if key.code == KeyCode::Esc && !was_escape => {
                self.held.push(key);
                Heard::Keys(Vec::new())
            }
            _ => self.release(Some(key)),
        }
    }

    fn hold(&mut self, key: KeyEvent, c: char) -> Heard {
        self.held.push(key);
        self.text.push(c);
        Heard::Keys(Vec::new())
    }

    fn goes_on_with(&self, c: char) -> bool {
        match BEGINNING.chars().nth(self.text.len()) {
            Some(wanted) => c == wanted,
            None => {
                let is_part = c.is_ascii_hexdigit() || matches!(c, ':' | '/');
                is_part && self.text.len() < BEGINNING.len() + LONGEST
            }
        }
    }

    /// The answer is complete, or it was none.
    fn end(&mut self, key: KeyEvent) -> Heard {
        match is_light(&self.text) {
            Some(is_light) => {
                self.is_over = true;
                self.held.clear();
                Heard::Background { is_light }
            }
            None => self.release(Some(key)),
        }
    }

    fn release(&mut self, key: Option<KeyEvent>) -> Heard {
        self.text.clear();
        let mut keys = std::mem::take(&mut self.held);
        keys.extend(key);
        Heard::Keys(keys)
    }
}

/// `]11;rgb:RRRR/GGGG/BBBB`, one to four digits each: by how bright they are
/// to the eye (ITU-R BT.709).
fn is_light(answer: &str) -> Option<bool> {
    let rest = answer.strip_prefix(BEGINNING)?;
    let (parts, count) = match rest.strip_prefix("a:") {
        Some(parts) => (parts, 4),
        None => (rest.strip_prefix(':')?, 3),
    };
    let shares = parts.split('/').map(share).collect::<Option<Vec<f64>>>()?;
    let [red, green, blue, ..] = shares.as_slice() else { return None };
    (shares.len() == count).then_some(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)
}

fn share(digits: &str) -> Option<f64> {
    let most = match digits.len() {
        1 => 0xf,
        2 => 0xff,
        3 => 0xfff,
        4 => 0xffff,
        _ => return None,
    };
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some(f64::from(value) / f64::from(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    fn key(c: char) -> KeyEvent {
        let shift = if c.is_ascii_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        KeyEvent::new(KeyCode::Char(c), shift)
    }

    fn alt(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT)
    }

    /// The keys that an answer looks like, without its end.
    fn answer(text: &str) -> Vec<KeyEvent> {
        let mut characters = text.chars();
        let first = characters.next().map(alt);
        first.into_iter().chain(characters.map(key)).collect()
    }

    fn heard(keys: &[KeyEvent]) -> (Vec<KeyEvent>, Option<bool>) {
        let mut listener = Listener::default();
        let (mut passed, mut background) = (Vec::new(), None);
        for key in keys {
            match listener.hear(*key, SOON) {
                Heard::Keys(keys) => passed.extend(keys),
                Heard::Background { is_light } => background = Some(is_light),
            }
        }
        (passed, background)
    }

    #[test]
    fn an_answer_is_read_however_it_ends() {
        let bell = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL);
        let escape = KeyEvent::from(KeyCode::Esc);
        let ends = [vec![alt('\\')], vec![bell], vec![escape, key('\\')]];
        for end in ends {
            let keys = [answer("]11;rgb:ffff/FFFF/ffff"), end].concat();
            assert_eq!(heard(&keys), (Vec::new(), Some(true)), "{keys:?}");
        }
        let dark = [answer("]11;rgba:1e/1e/1e/ff"), vec![alt('\\')]].concat();
        assert_eq!(heard(&dark), (Vec::new(), Some(false)));
        // A line that parts it after the escape.
        let parted =
            [vec![escape, key(']')], answer("]11;rgb:f/f/f")[1..].to_vec(), vec![alt('\\')]];
        assert_eq!(heard(&parted.concat()), (vec![escape], Some(true)));
    }

    #[test]
    fn keys_before_between_and_after_count_in_their_order() {
        let typed: Vec<KeyEvent> = "j:]11;rg".chars().map(key).collect();
        assert_eq!(heard(&typed).0, typed, "no escape, no answer");
        let half = [answer("]11;rg"), vec![key('x'), key('j')]].concat();
        assert_eq!(heard(&half), (half.clone(), None));
        let wrong = [answer("]11;rgb:fffff/0/0"), vec![alt('\\'), key('j')]].concat();
        assert_eq!(heard(&wrong), (wrong.clone(), None));
        let around = [vec![key('j')], answer("]11;rgb:0/0/0"), vec![alt('\\'), key('k')]].concat();
        assert_eq!(heard(&around), (vec![key('j'), key('k')], Some(false)));
    }

    #[test]
    fn nobody_listens_for_ever_nor_holds_more_than_an_answer() {
        let mut listener = Listener::default();
        assert_eq!(listener.hear(alt(']'), SOON), Heard::Keys(Vec::new()));
        let late = Duration::from_secs(6);
        assert_eq!(listener.hear(key('j'), late), Heard::Keys(vec![alt(']'), key('j')]));
        assert_eq!(listener.hear(alt(']'), SOON), Heard::Keys(vec![alt(']')]));
        let long = answer(&format!("]11;rgb:{}", "f".repeat(200)));
        assert_eq!(heard(&long).0, long);
    }
}
