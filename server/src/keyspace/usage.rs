//! How recently an entry was used, and how often: for `OBJECT`, and for eviction.

/// When an entry was last used, to the second, and how often, in four bytes of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage(u32);

impl Usage {
    /// What a new entry starts with, so that it is not the first to go.
    const FIRST_FREQUENCY: u8 = 5;
    /// Seconds are counted in 24 bits, which is half a year.
    const CLOCK_BITS: u32 = 24;
    const CLOCK_MASK: u32 = (1 << Self::CLOCK_BITS) - 1;
    /// So many seconds before the clock has gone round count as a clock that was set back.
    const SET_BACK_S: u32 = 1 << 16;

    pub(crate) const fn fresh(now_ms: i64) -> Self {
        Self::new(now_ms / 1000, Self::FIRST_FREQUENCY)
    }

    /// Last used at this time in seconds since 1970.
    pub(crate) const fn new(used_s: i64, frequency: u8) -> Self {
        Usage((frequency as u32) << Self::CLOCK_BITS | used_s as u32 & Self::CLOCK_MASK)
    }

    pub(super) const fn from_number(number: u32) -> Self {
        Usage(number)
    }

    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// Counts uses on a logarithmic scale.
    pub(crate) const fn frequency(self) -> u8 {
        (self.0 >> Self::CLOCK_BITS) as u8
    }

    /// The time of the last use as Redis keeps it: seconds since 1970, in 24 bits.
    pub(crate) const fn clock_s(self) -> u32 {
        self.0 & Self::CLOCK_MASK
    }

    /// For how many seconds it has not been used.
    pub(crate) const fn idle_s(self, now_ms: i64) -> i64 {
        let passed_s = ((now_ms / 1000) as u32).wrapping_sub(self.0) & Self::CLOCK_MASK;
        if passed_s > Self::CLOCK_MASK - Self::SET_BACK_S { 0 } else { passed_s as i64 }
    }

    /// Once more used; how often is only kept account of where somebody asks for it.
    pub(super) const fn noted(self, now_ms: i64) -> Self {
        Self::new(now_ms / 1000, self.frequency())
    }

    /// Once more used, which may count.
    #[inline(never)]
    pub(super) fn counted(self, now_ms: i64, counting: Counting) -> Self {
        Self::new(now_ms / 1000, counting.incremented(counting.decayed(self, now_ms)))
    }
}

/// How uses are counted: the more there were, the less likely one more counts, and counts fade
/// with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) log_factor: i64,
    /// After so many minutes without a use the count falls by one; 0 keeps it.
    pub(crate) decay_minutes: i64,
    /// Drawn anew for each request.
    pub(crate) chance: u64,
}

impl Counting {
    pub(crate) fn decayed(self, usage: Usage, now_ms: i64) -> u8 {
        let idle_minutes = usage.idle_s(now_ms) / 60;
        let periods = idle_minutes.checked_div(self.decay_minutes).unwrap_or(0);
        usage.frequency().saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    fn incremented(self, frequency: u8) -> u8 {
        let above = i64::from(frequency.saturating_sub(Usage::FIRST_FREQUENCY));
        let one_in = above.saturating_mul(self.log_factor).saturating_add(1);
        let counts = (u128::from(self.chance) * one_in as u128) >> 64 == 0;
        frequency.saturating_add(u8::from(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_clock_going_round() {
        let before_wrap_s = i64::from(Usage::CLOCK_MASK) - 5;
        let usage = Usage::fresh(before_wrap_s * 1000);
        assert_eq!(usage.idle_s((before_wrap_s + 100) * 1000), 100);
    }

    #[test]
    fn a_clock_set_back_makes_nothing_old() {
        let usage = Usage::fresh(1_700_000_000_000);
        assert_eq!(usage.idle_s(1_699_999_990_000), 0);
        assert_eq!(usage.idle_s(1_700_000_000_999), 0);
        assert_eq!(usage.idle_s(1_700_000_001_000), 1);
    }

    #[test]
    fn time_and_frequency_do_not_disturb_each_other() {
        let usage = Usage::new(1_700_000_000, 255);
        assert_eq!((usage.frequency(), usage.idle_s(1_700_000_007_000)), (255, 7));
        assert_eq!(usage.clock_s(), 1_700_000_000 % (1 << 24));
    }
}
