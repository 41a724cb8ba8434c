//! What a line of a node's log says of itself: its event and its time.
//!
//! A node writes one JSON object a line, with `timestamp` (RFC 3339, UTC) and `message`, which is the
//! event's name. What is written otherwise, such as a panic, belongs to the line before it.

use protocol::units::TimeMs;
use serde_json::Value;

/// Whether a line tells of this event.
#[must_use]
pub fn is_event(line: &str, event: &str) -> bool {
    // Most lines are of other events, and need no parser to say so.
    line.contains(event)
        && serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"] == event)
}

/// When a line was written; `None` if it does not say.
#[must_use]
pub fn time(line: &str) -> Option<TimeMs> {
    let line: Value = serde_json::from_str(line).ok()?;
    read_time(line["timestamp"].as_str()?)
}

/// `2026-09-21T14:13:20.123456Z`, as the log writes it: in UTC, with any number of digits after the
/// second. A leap second counts as the second after it.
fn read_time(text: &str) -> Option<TimeMs> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (second, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(second, ':')?;
    let plausible = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !plausible || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let milliseconds: u64 = digits.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(TimeMs(seconds * 1000 + milliseconds))
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let parts: Option<Vec<u64>> = text.split(between).map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Days from 1970-01-01: years that begin in March, so that the leap day is the last of its year.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "{\"timestamp\":\"2026-09-21T14:13:20.123456Z\",\"level\":\"INFO\",\
                        \"message\":\"job_ended\",\"job\":\"node_started\"}\n";

    #[test]
    fn an_event_is_the_message_and_no_other_field() {
        assert!(is_event(LINE, "job_ended"));
        for other in ["node_started", "job", "INFO", "job_end", "message", ""] {
            assert!(!is_event(LINE, other), "{other}");
        }
        assert!(!is_event("job_ended, said a panic", "job_ended"));
    }

    #[test]
    fn times_are_read_or_absent() {
        assert_eq!(time(LINE), Some(TimeMs(1_790_000_000_123)));
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.5Z", 951_782_400_500),
            ("2100-02-28T23:59:59.999999Z", 4_107_542_399_999),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(read_time(text), Some(TimeMs(expected)), "{text}");
        }
        for bad in [
            "",
            "2026-09-21",
            "2026-09-21T14:13:20",
            "2026-13-01T00:00:00Z",
            "2026-09-21T24:00:00Z",
            "0001-01-01T00:00:00Z",
            "2026-09-21T14:13:20.+5Z",
            "99999999999999999999-01-01T00:00:00Z",
        ] {
            assert_eq!(read_time(bad), None, "{bad}");
        }
        assert_eq!(time("thread panicked"), None);
    }
}
