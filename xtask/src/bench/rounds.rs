//! Turns: A B A B, so that what the machine does meanwhile meets all alike.

use anyhow::{Context as _, Result};

/// One figure, measured several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn one(value: f64) -> Self {
        Self(vec![value])
    }

    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Each of these divided by the other's of the same round.
    pub(super) fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, other)| one / other).collect())
    }

    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    /// The middle one, or the mean of the two there.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.len(), sorted.get(middle)) {
            (0, _) | (_, None) => f64::NAN,
            (count, Some(upper)) if count % 2 == 1 => *upper,
            (_, Some(upper)) => f64::midpoint(sorted[middle - 1], *upper),
        }
    }

    /// The least and the most.
    pub(super) fn range(&self) -> (f64, f64) {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (least, most)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Lets each contestant take its turn, so many times, and gives the samples of each.
///
/// Before each turn what the one before wrote is put onto the disk, so that nobody pays
/// for that but who has to.
pub(super) fn in_turn<C>(
    rounds: u32,
    contestants: &[C],
    mut turn: impl FnMut(&C) -> Result<f64>,
) -> Result<Vec<Samples>> {
    let mut all = vec![Samples::default(); contestants.len()];
    for round in 0..rounds {
        for (samples, contestant) in all.iter_mut().zip(contestants) {
            rustix::fs::sync();
            let value = turn(contestant).with_context(|| format!("in round {}", round + 1))?;
            samples.push(value);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert!((Samples::from_iter([3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((Samples::from_iter([4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn contestants_take_turns() {
        let mut order = Vec::new();
        let samples = in_turn(2, &["a", "b"], |contestant| {
            order.push(*contestant);
            Ok(order.len() as f64)
        });
        assert_eq!(order, ["a", "b", "a", "b"]);
        let ratios = samples.unwrap();
        assert_eq!(ratios[1].over(&ratios[0]).0, [2.0, 4.0 / 3.0]);
    }
}
