//! Means and their intervals, in whole numbers: the same on every machine.

use serde::Serialize;

/// Student's t for 95 % and 19 degrees of freedom, in thousandths: twenty batches. For a difference of
/// two such means it is on the safe side.
const T_PERMILLE: i128 = 2_093;

/// A mean with its 95 % interval, in thousandths of a upal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The mean.
    pub mean: i64,
    /// Half the width of the interval.
    pub half: i64,
    /// Square of the standard error, for differences.
    #[serde(skip)]
    variance_of_mean: i128,
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn half(variance_of_mean: i128) -> i64 {
    let error = u128::try_from(variance_of_mean).unwrap_or(0).isqrt();
    narrow(i128::try_from(error).unwrap_or(i128::MAX / T_PERMILLE) * T_PERMILLE / 1_000)
}

impl Sample {
    /// Of independent batches. Fewer than two have no interval.
    #[must_use]
    pub fn of(values: &[i64]) -> Self {
        let count = i128::try_from(values.len()).unwrap_or(1).max(1);
        let total = values.iter().fold(0, |sum, value| sum + i128::from(*value));
        let mean = total / count;
        let squares = values.iter().fold(0, |sum, value| {
            let distance = i128::from(*value) - mean;
            sum + distance * distance
        });
        let variance_of_mean = squares / (count - 1).max(1) / count;
        Self {
            mean: narrow(mean),
            half: half(variance_of_mean),
            variance_of_mean,
        }
    }

    /// The difference of two means that were drawn apart.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let variance_of_mean = self.variance_of_mean + other.variance_of_mean;
        Self {
            mean: self.mean.saturating_sub(other.mean),
            half: half(variance_of_mean),
            variance_of_mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sample variance 32/7.
    #[test]
    fn means_and_intervals_are_those_of_the_book() {
        let values: Vec<i64> = [2, 4, 4, 4, 5, 5, 7, 9].map(|v| v * 1_000).to_vec();
        let sample = Sample::of(&values);
        assert_eq!(sample.mean, 5_000);
        // sqrt(32 / 7 / 8) = 0.75593, times 2.093.
        assert_eq!(sample.half, 1_580);
        let same = Sample::of(&[7; 20]);
        assert_eq!((same.mean, same.half), (7, 0));
        let difference = sample.minus(&sample);
        assert_eq!((difference.mean, difference.half), (0, 2_237));
    }
}
