//! An answer that is not a success, as a failure in words.

use reqwest::StatusCode;

use super::failure::{Failure, Kind};
use crate::wire::problem::Problem;
use crate::wire::state::StatusWord;
use crate::wire::view::DeploymentView;

/// What to say about an answer with `status`. `failing` is what does not work for it.
pub(super) fn failure(
    failing: &str,
    operator: bool,
    status: StatusCode,
    location: Option<&str>,
    body: &[u8],
) -> Failure {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => refusal(failing, operator, problem),
        Err(_) => stranger(failing, status, location),
    }
}

/// windlass itself said no.
fn refusal(failing: &str, operator: bool, problem: Problem) -> Failure {
    let kind = ended_as(&problem).unwrap_or(match (problem.status, problem.name()) {
        (401, _) => Kind::NotAuthentic,
        (_, "internal") => Kind::Internal,
        (400..=499 | 503, _) => Kind::Refused,
        _ => Kind::Internal,
    });
    let failure = Failure::new(kind, failing, &problem.detail);
    let failure = match problem.status {
        401 => failure.fix(
            "is it a key of this project, of the right scheme (--scheme), and not expired? Is the clock of this \
             machine right? The log of windlass says which: journalctl -u windlass, on its host",
        ),
        404 if operator => {
            failure.fix("windlass status shows the projects of this host, windlass list its deployments")
        }
        423 => failure.fix("wait, or end the freeze: windlass unfreeze PROJECT, on its host"),
        429 | 503 => failure.fix("try again in a while"),
        _ => failure,
    };
    failure.answered(problem)
}

/// The outcome, when the problem is that a deployment ended badly. Other problems name a deployment too, which says
/// nothing about what was asked for now.
fn ended_as(problem: &Problem) -> Option<Kind> {
    let deployment: DeploymentView = serde_json::from_value(problem.deployment.clone()?).ok()?;
    match deployment.status {
        StatusWord::Ended(outcome) if outcome.as_str() == problem.name() => Some(Kind::Ended(outcome)),
        _ => None,
    }
}

/// Something between here and windlass answered, or something else altogether.
fn stranger(failing: &str, status: StatusCode, location: Option<&str>) -> Failure {
    let said = format!("the answer was {status}, and not from windlass");
    match (status.as_u16(), location) {
        (300..=399, Some(location)) => {
            Failure::new(Kind::Unreachable, failing, format!("{said}: it leads to {location}"))
                .fix("what is signed for one address is not sent to another: give the right one as --url")
        }
        (502..=504, _) => Failure::new(Kind::Unreachable, failing, said)
            .fix("something in front of windlass does not reach it: is windlass running there?"),
        _ => Failure::new(Kind::Unreachable, failing, said).fix("is the URL right? `curl URL/livez` answers `ok`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, name: &str) -> Kind {
        let body = serde_json::to_vec(&Problem::new(status, name, "Title", "detail")).unwrap();
        failure("shop was not deployed", false, StatusCode::from_u16(status).unwrap(), None, &body).kind()
    }

    #[test]
    fn what_windlass_refuses_and_what_something_else_answers_end_differently() {
        assert_eq!(kind(401, "not_authentic"), Kind::NotAuthentic);
        for (status, name) in
            [(400, "x"), (403, "x"), (404, "x"), (409, "replayed"), (422, "x"), (423, "frozen"), (503, "x")]
        {
            assert_eq!(kind(status, name), Kind::Refused, "{status}");
        }
        assert_eq!(kind(503, "internal"), Kind::Internal);
        for status in [StatusCode::FOUND, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED, StatusCode::BAD_GATEWAY] {
            let failure = failure("shop was not deployed", false, status, Some("https://x"), b"<html>");
            assert_eq!(failure.kind(), Kind::Unreachable, "{status}");
        }
    }
}
