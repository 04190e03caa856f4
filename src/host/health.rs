//! Whether what was put into service works: it is watched until that is proven, or known not to be so.

pub(super) mod judge;
pub(super) mod steadiness;
pub(super) mod verdict;
pub(super) mod watch;

mod probe;
