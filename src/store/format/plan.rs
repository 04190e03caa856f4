//! Plans on disk.

use serde::{Deserialize, Serialize};

use super::form::{List, forms};
use crate::deploy::plan as core;
use crate::model::{Digest, ImageReference, PinnedImage};

forms! {
    Step of core::Step,
    Source of core::Source,
    Expected of core::Expected,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Plan")]
pub(super) struct Plan {
    #[serde(with = "List::<Step>")]
    steps: Vec<core::Step>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Step", tag = "do", rename_all = "snake_case")]
enum Step {
    Pull {
        image: PinnedImage,
    },
    Keep {
        #[serde(with = "List::<Source>")]
        images: Vec<core::Source>,
    },
    Before {
        #[serde(with = "Change")]
        change: core::Change,
    },
    Pin {
        reference: ImageReference,
        #[serde(with = "Source")]
        image: core::Source,
    },
    Apply {
        services: Vec<String>,
        // The first journals have none.
        #[serde(with = "Change", default)]
        change: core::Change,
    },
    AwaitHealthy {
        services: Vec<String>,
        #[serde(with = "List::<Expected>")]
        images: Vec<core::Expected>,
    },
    #[serde(rename = "withdraw")]
    Remove {
        services: Vec<String>,
        unpin: Vec<ImageReference>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Source", rename_all = "snake_case")]
enum Source {
    Registry(PinnedImage),
    Local(Digest),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Change")]
struct Change {
    #[serde(with = "List::<Source>")]
    to: Vec<core::Source>,
    #[serde(with = "List::<Source>")]
    from: Vec<core::Source>,
    back: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Expected")]
struct Expected {
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<ImageReference>,
    #[serde(with = "Source")]
    image: core::Source,
}
