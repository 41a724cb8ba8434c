//! Text that strangers chose, made harmless for a terminal.

/// The same text with everything escaped that a terminal would obey rather than show: controls, line
/// ends, marks that turn the direction of writing, characters without a shape. Quotes and backslashes
/// stay, so that a text without the others, and one that went through here, is printed as it is.
pub(crate) fn printable(text: &str) -> String {
    let kept = ['"', '\'', '\\'];
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(kept) {
        let plain = part.strip_suffix(kept).unwrap_or(part);
        shown.extend(plain.escape_debug());
        shown.push_str(&part[plain.len()..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_obey() {
        for (text, shown) in [
            ("\x1b[2J\x1b[31mHACK\n", "\\u{1b}[2J\\u{1b}[31mHACK\\n"),
            (
                "a\rb\tc\0d\u{7f}\u{9b}31m",
                "a\\rb\\tc\\0d\\u{7f}\\u{9b}31m",
            ),
            ("exe\u{202e}gnp", "exe\\u{202e}gnp"),
            (
                "\u{2066}x\u{2069}\u{200f}\u{61c}",
                "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}",
            ),
            ("two\u{2028}lines\u{2029}", "two\\u{2028}lines\\u{2029}"),
            ("\u{200b}\u{feff}\u{e0041}", "\\u{200b}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable(shown), shown, "escaping twice changes nothing");
        }
    }

    #[test]
    fn writing_stays_as_it_is() {
        for text in [
            "",
            "Ziffern für Müller",
            "数字 🦀",
            "e\u{301}a",
            r#"it's "a\b""#,
            "a/b:0",
        ] {
            assert_eq!(printable(text), text);
        }
    }
}
