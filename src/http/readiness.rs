//! How ready windlass is to take hooks.

/// How ready windlass is to take hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// What was under way before is being taken up again.
    Starting,
    /// All is well.
    Ready,
    /// It works, with the configuration of before: the newest one is broken, as the log says.
    StaleConfiguration,
    /// It takes no more work and finishes what it has.
    Draining,
}

impl Readiness {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::StaleConfiguration => "stale-configuration",
            Self::Draining => "draining",
        }
    }

    /// Whether hooks are taken. A configuration that is out of date is a reason to look, not to send nobody here.
    #[must_use]
    pub const fn takes_work(self) -> bool {
        matches!(self, Self::Ready | Self::StaleConfiguration)
    }
}
