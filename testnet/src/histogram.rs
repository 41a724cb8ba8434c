//! A percentile of a histogram, read from a node's metrics page as Prometheus reads it.

/// The percentile of a histogram in seconds, in whole milliseconds, rounded up.
///
/// Within a bucket the observations count as evenly spread, as in Prometheus. A percentile beyond the
/// last bound is above every bound: it says so by the largest number. `None` without observations.
#[must_use]
pub fn percentile_ms(page: &str, name: &str, percent: u32) -> Option<u64> {
    let buckets = buckets(page, name)?;
    let total = buckets.last().map(|bucket| bucket.count)?;
    if total <= 0.0 {
        return None;
    }
    let rank = total * f64::from(percent) / 100.0;
    let (mut bound, mut below) = (0.0, 0.0);
    for bucket in buckets {
        if bucket.count >= rank {
            if bucket.bound.is_infinite() {
                return Some(u64::MAX);
            }
            let share = (rank - below) / (bucket.count - below);
            let seconds = bound + (bucket.bound - bound) * share;
            return Some(whole((seconds * 1000.0).ceil()));
        }
        (bound, below) = (bucket.bound, bucket.count);
    }
    None
}

/// Observations up to a bound, in seconds.
struct Bucket {
    bound: f64,
    count: f64,
}

/// `NAME_bucket{le="0.5"} 12`, in the order of their bounds; `None` if a line is no such thing.
fn buckets(page: &str, name: &str) -> Option<Vec<Bucket>> {
    let lines = page.lines().filter_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix("_bucket{le=\"")?
            .split_once("\"} ")
    });
    let read = |(bound, count): (&str, &str)| {
        Some(Bucket {
            // `+Inf` reads as infinity.
            bound: bound.parse().ok()?,
            count: count.trim().parse().ok()?,
        })
    };
    let mut buckets: Vec<Bucket> = lines.map(read).collect::<Option<_>>()?;
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    Some(buckets)
}

/// The whole part of a sample, which is all that is compared.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
pub const fn whole(sample: f64) -> u64 {
    sample as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "palisade_x_seconds";

    fn page(counts: [u32; 4]) -> String {
        let rows = ["0.5", "1", "2", "+Inf"].iter().zip(counts);
        let rows: String = rows
            .map(|(bound, count)| format!("{NAME}_bucket{{le=\"{bound}\"}} {count}\n"))
            .collect();
        let [.., all] = counts;
        format!(
            "# TYPE {NAME} histogram\n{rows}{NAME}_sum 4.5\n{NAME}_count {all}\n\
             {NAME}_of_another_bucket{{le=\"0.5\"}} 900\n"
        )
    }

    #[test]
    fn percentiles_are_spread_evenly_within_their_bucket() {
        // All of a hundred in the first bucket: the 95th is 95 % of the way to its bound.
        assert_eq!(
            percentile_ms(&page([100, 100, 100, 100]), NAME, 95),
            Some(475)
        );
        assert_eq!(
            percentile_ms(&page([90, 100, 100, 100]), NAME, 95),
            Some(750)
        );
        assert_eq!(
            percentile_ms(&page([90, 100, 100, 100]), NAME, 90),
            Some(500)
        );
        assert_eq!(percentile_ms(&page([0, 0, 1, 1]), NAME, 95), Some(1950));
    }

    #[test]
    fn beyond_the_last_bound_is_above_every_bound() {
        assert_eq!(
            percentile_ms(&page([90, 90, 90, 100]), NAME, 95),
            Some(u64::MAX)
        );
    }

    #[test]
    fn nothing_observed_and_nothing_readable_is_no_number() {
        assert_eq!(percentile_ms(&page([0; 4]), NAME, 95), None);
        assert_eq!(percentile_ms("", NAME, 95), None);
        assert_eq!(percentile_ms(&page([1; 4]), "palisade_y_seconds", 95), None);
        let broken = page([1; 4]).replace("le=\"1\"} 1", "le=\"1\"} many");
        assert_eq!(percentile_ms(&broken, NAME, 95), None);
    }
}
