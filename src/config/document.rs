//! TOML with places and problems: what a file and the environment say, where they say it, and what is wrong with it.
//!
//! Nothing here knows which keys there are: that is for `table` to say.

pub(super) mod environment;
mod explain;
mod file;
pub(super) mod key_path;
pub(super) mod problem;
pub(super) mod tree;
pub(super) mod value;

pub(super) use file::Document;
