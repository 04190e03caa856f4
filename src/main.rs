//! The command: parses its arguments, starts tracing, maps the result to an exit code.

fn main() {}
