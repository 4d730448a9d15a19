//! Keys as people ask for them: a few very often, most of them seldom. What is drawn is the same in every run.

/// How steeply the frequencies fall: the n-th key is asked for in proportion to 1 / n to this power.
pub(crate) const EXPONENT: f64 = 0.99;

/// Draws the numbers of keys; number 0 most often.
pub(crate) struct Zipf {
    /// The probability that a number up to this place is drawn.
    cumulative: Vec<f64>,
    state: u64,
}

impl Zipf {
    /// A generator of numbers below `keys`. The seed must not be 0.
    pub(crate) fn new(keys: u64, seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-EXPONENT);
            sum
        });
        let sums: Vec<f64> = sums.collect();
        Zipf { cumulative: sums.iter().map(|part| part / sum).collect(), state: seed }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        let point = self.uniform();
        self.cumulative.partition_point(|part| *part <= point) as u64
    }

    /// The part of all draws that falls to so many of the most frequent keys.
    pub(crate) fn part_of_first(&self, keys: u64) -> f64 {
        self.cumulative[keys as usize - 1]
    }

    /// A number from 0 to 1: the upper bits of an xorshift generator whose output is multiplied.
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_key_is_drawn_half_as_often_as_the_first() {
        let mut zipf = Zipf::new(1_000, 7);
        let mut counts = [0_u32; 1_000];
        for _ in 0..200_000 {
            counts[zipf.draw() as usize] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        let first_hundred: u32 = counts[..100].iter().sum();
        let part = f64::from(first_hundred) / 200_000.0;
        assert!((part - zipf.part_of_first(100)).abs() < 0.01, "{part}");
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let draw = |seed| {
            let mut zipf = Zipf::new(100, seed);
            (0..20).map(|_| zipf.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
