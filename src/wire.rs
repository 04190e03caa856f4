//! Request and response JSON, and the same as lines of text. What scripts and people depend on.

pub mod json;
pub mod problem;
pub mod request;
pub mod text;
pub mod view;
