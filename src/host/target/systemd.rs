//! A target that is units of systemd, some of which Quadlet may make.

pub(super) mod driver;

mod quadlet;
mod units;
