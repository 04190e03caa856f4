//! `windlass version`: of the command, and of the windlass that answers.

use super::exit::Exit;
use super::global::Global;
use super::output::Output;
use crate::client::{Failure, Request};
use crate::wire::view::VersionView;

/// Of this command.
const OURS: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let asked = async {
        let request = Request::get("the version of the daemon cannot be read", "/v1/version")?;
        global.operator()?.ask::<VersionView>(&request).await
    };
    let daemon = asked.await;
    if output.is_json() {
        let daemon = daemon.ok().map(|daemon| daemon.version);
        output.document(&serde_json::json!({ "command": OURS, "daemon": daemon }));
        return Ok(Exit::Succeeded);
    }
    output.line(format_args!("command  {OURS}"));
    match daemon {
        Ok(VersionView { version }) if version == OURS => output.line(format_args!("daemon   {version}")),
        Ok(VersionView { version }) => {
            output.line(format_args!("daemon   {version}: restart it, and it is {OURS}"));
        }
        Err(failure) => output.remark(failure),
    }
    Ok(Exit::Succeeded)
}
