//! The names that everything else speaks in. A value of one of these types cannot be wrong.

mod digest;
mod image;
mod name;
mod text;
mod time;
mod unit;
mod zone;

pub use digest::{Digest, DigestError};
pub use image::{ImageReference, ImageReferenceError, LocalImage, PinnedImage, Repository, short_tag};
pub use name::{DeliveryId, DeploymentId, KeyId, NameError, ProjectName};
pub use text::{acts, one_line, visible};
pub use time::{Clock, Timestamp};
pub use unit::{UnitName, UnitNameError};
pub use zone::Zone;
