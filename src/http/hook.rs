//! The hook: a delivery that is proven, understood and admitted becomes a deployment.

use axum::extract::State;
use axum::response::Response;

use super::App;
use super::error::Error;
use super::peer::Peer;
use super::signed::Signed;
use super::submission::Taken;
use super::wish::Wish;
use crate::auth::{Delivery, Identity, Verified};
use crate::deploy::catalog::Project;
use crate::deploy::request::{Refusal, Repetition, admit};
use crate::model::one_line;
use crate::wire::request::parse_hook;

pub(super) async fn hook(State(app): State<App>, signed: Signed) -> Result<Response, Error> {
    let decided = decide(&app, &signed).await;
    log(&signed.project, &signed.delivery, &decided);
    let (taken, wish) = decided?;
    app.tell(&signed.project, taken, &wish, &signed.head).await
}

async fn decide(app: &App, signed: &Signed) -> Result<(Taken, Wish), Error> {
    let Signed { project, delivery, head } = signed;
    let repetition = || Repetition::of(delivery);
    // The query is not signed. What it asks for besides a deployment must not become one when somebody sends the same
    // without it: so the delivery is used up first.
    let mut wish = match Wish::read(head, project.spec.longest()) {
        Ok(wish) if !wish.dry_run => wish,
        other => {
            app.0.store.use_up(&project.spec.name, repetition()).await?;
            other?
        }
    };
    let admitted = parse_hook(&delivery.get().body).map_err(Refusal::NotUnderstood).and_then(|ask| {
        wish.dry_run |= ask.dry_run;
        admit(project, delivery, &ask)
    });
    let request = match admitted {
        Ok(request) => request,
        Err(refusal) => return Err(app.refuse(project, repetition(), refusal).await),
    };
    if wish.takes_long() {
        Peer::must_keep_its_place(head)?;
    }
    Ok((app.take(project, request, &wish).await?, wish))
}

/// One line for each delivery that was authentic.
pub(super) fn log(project: &Project, delivery: &Verified<Delivery>, decided: &Result<(Taken, Wish), Error>) {
    let project = &project.spec.name;
    let key = delivery.key();
    let delivery = match &delivery.get().identity {
        Identity::Id(id) => id.as_str(),
        Identity::Body | Identity::None | Identity::Unusable => "",
    };
    match decided {
        Ok((Taken::Accepted { deployment, joined: false }, _)) => {
            tracing::info!(%project, %key, delivery, deployment = %deployment.id, "accepted");
        }
        Ok((Taken::Accepted { deployment, joined: true }, _)) => {
            tracing::info!(%project, %key, delivery, deployment = %deployment.id, "repeated");
        }
        Ok((Taken::Planned(_), _)) => tracing::info!(%project, %key, delivery, "planned"),
        Err(error) => {
            let reason = one_line(&error.to_string(), 300);
            tracing::info!(%project, %key, delivery, status = error.status().as_u16(), problem = error.name(), reason, "refused");
        }
    }
}
