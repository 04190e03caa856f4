//! Chance that can be repeated: SplitMix64, by Guy Steele, Doug Lea and Christine Flood.

/// A sequence of numbers that follows from a seed.
pub struct Random(u64);

impl Random {
    /// The sequence for one round of one host: what other hosts do, and how fast, has no influence on it.
    pub fn of_round(seed: u64, host: usize, round: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.next() ^ host as u64;
        random.0 = random.next() ^ round;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of a hundred cases.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64);
        from[usize::try_from(index).unwrap()]
    }
}
