//! What the schema says of the identifiers and enums of the domain that tables have as they are.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

use super::key::{Permission, SchemeName};
use super::systemd::Action;
use crate::config::document::value::text_schema;
use crate::model::{KeyId, ProjectName};

/// Gives identifiers of the domain a schema.
macro_rules! identifiers {
    ($($name:ty: $pattern:literal),+ $(,)?) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema("name", $pattern)
            }
        }
    )+};
}

identifiers!(ProjectName: "^[a-z0-9][a-z0-9_-]{0,62}$", KeyId: "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$");

/// Gives enums of the domain a schema.
macro_rules! words {
    ($($name:ty),+ $(,)?) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": words_of::<$name>() })
            }
        }
    )+};
}

words!(Action, Permission, SchemeName);

/// The words of an enum, as serde lists them for one that it has not.
fn words_of<T: DeserializeOwned>() -> Vec<String> {
    let message = T::deserialize(StrDeserializer::<Error>::new("")).err().map(|error| error.to_string());
    message.unwrap_or_default().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}
