//! Request and response JSON, and the same as lines of text. What scripts and people depend on.

pub mod event;
pub mod json;
pub mod problem;
pub mod release;
pub mod request;
pub mod state;
pub mod text;
pub mod view;
