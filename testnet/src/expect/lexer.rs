//! Text to tokens, each with its column.

use super::ExpectError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Integer(u64),
    /// In upal.
    Amount(u64),
    /// In milliseconds.
    Duration(u64),
    Symbol(&'static str),
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 12] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", ",",
];

/// A longer expression is a mistake.
const EXPRESSION_BYTES_MAX: usize = 4096;

pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpectError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(ExpectError::at(EXPRESSION_BYTES_MAX, "expression too long"));
    }
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = text.len() - rest.len() + 1;
        let Some(first) = rest.chars().next() else {
            return Ok(found);
        };
        let (token, used) = match first {
            '"' => quoted(rest, column)?,
            c if c.is_ascii_digit() => number(rest, column)?,
            c if c.is_ascii_alphabetic() || c == '_' => name(rest),
            _ => symbol(rest, column)?,
        };
        found.push((column, token));
        rest = &rest[used..];
    }
}

/// A text in quotes; `\"` and `\\` stand for themselves.
fn quoted(rest: &str, column: usize) -> Result<(Token, usize), ExpectError> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Token::Text(text), index + 1)),
            '\\' => match letters.next() {
                Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                _ => {
                    return Err(ExpectError::at(
                        column + index,
                        "only \\\" and \\\\ are escapes",
                    ));
                }
            },
            other => text.push(other),
        }
    }
    Err(ExpectError::at(column, "text without closing quote"))
}

fn name(rest: &str) -> (Token, usize) {
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .unwrap_or(rest.len());
    (Token::Name(rest[..end].to_owned()), end)
}

/// An integer, an amount (`5 PAL`, `12 upal`) or a duration (`2s`, `500ms`).
fn number(rest: &str, column: usize) -> Result<(Token, usize), ExpectError> {
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let too_large = || ExpectError::at(column, "number too large");
    let value: u64 = rest[..digits].parse().map_err(|_| too_large())?;
    let after = &rest[digits..];
    let spaced = after.trim_start();
    let unit_end = spaced
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(spaced.len());
    let used = rest.len() - spaced.len() + unit_end;
    let scaled = |factor: u64| value.checked_mul(factor).ok_or_else(too_large);
    let token = match &spaced[..unit_end] {
        "PAL" => Token::Amount(scaled(protocol::units::UPAL_PER_PAL)?),
        "upal" => Token::Amount(value),
        "ms" => Token::Duration(value),
        "s" => Token::Duration(scaled(1000)?),
        "m" => Token::Duration(scaled(60_000)?),
        "" => return Ok((Token::Integer(value), digits)),
        unit => {
            let problem = format!("unknown unit `{unit}`: PAL, upal, ms, s or m");
            return Err(ExpectError::at(column + used - unit_end, problem));
        }
    };
    Ok((token, used))
}

fn symbol(rest: &str, column: usize) -> Result<(Token, usize), ExpectError> {
    SYMBOLS
        .into_iter()
        .find(|symbol| rest.starts_with(symbol))
        .map(|symbol| (Token::Symbol(symbol), symbol.len()))
        .ok_or_else(|| {
            let first = rest.chars().next().unwrap_or(' ');
            ExpectError::at(column, format!("unexpected `{first}`"))
        })
}
