//! The hook: a delivery that is proven becomes a deployment, or the plan of one.

use axum::extract::State;
use axum::response::Response;

use super::App;
use super::body::IsJson;
use super::error::Error;
use super::peer::Peer;
use super::signed::Signed;
use super::wish::{Form, Wish};
use crate::auth::Caller;
use crate::deploy::request::{Asked, Refusal};
use crate::intake::{Purpose, Received};
use crate::wire::request::parse_hook;

pub(super) async fn hook(State(app): State<App>, _: IsJson, signed: Signed) -> Result<Response, Error> {
    let Signed { project, delivery, head } = signed;
    // The query is not signed: what is not understood there may have asked for something besides a deployment.
    let (ask, mut wish) = match Wish::read(&head, project.spec.longest()) {
        Ok(wish) => (parse_hook(&delivery.get().body), wish),
        Err(reason) => (Err(reason), Wish { wait: None, dry_run: true, form: Form::Json }),
    };
    let purpose = match &ask {
        _ if wish.dry_run => Purpose::PlanUnsigned,
        Ok(ask) if ask.dry_run => Purpose::Plan,
        _ => Purpose::Deploy,
    };
    wish.dry_run = purpose != Purpose::Deploy;
    if wish.takes_long() {
        Peer::must_keep_its_place(&head)?;
    }
    let caller = Caller::Key(delivery);
    let asked = ask.as_ref().map(Asked::Deploy).map_err(|reason| Refusal::NotUnderstood(reason.clone()));
    let decided = app.0.intake.receive(Received { project: &project, caller: &caller, asked, purpose }).await?;
    app.tell(&project, decided, &wish, &head).await
}
