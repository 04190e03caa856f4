//! What the forms are made of: definitions of serde for types that it does not see, in lists and options as well.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What writes and reads the core's `T`.
pub(super) trait Form<T> {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;
}

/// Makes the remote definitions of serde usable in lists and options.
macro_rules! forms {
    ($($form:ident of $core:ty),* $(,)?) => {$(
        impl $crate::store::format::form::Form<$core> for $form {
            fn write<S: ::serde::Serializer>(value: &$core, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(value, serializer)
            }

            fn read<'de, D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<$core, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}
pub(super) use forms;

/// `T` as `F` writes it.
pub(super) struct Written<'t, F, T>(&'t T, PhantomData<F>);

impl<'t, F, T> Written<'t, F, T> {
    pub(super) const fn of(value: &'t T) -> Self {
        Self(value, PhantomData)
    }
}

impl<F: Form<T>, T> Serialize for Written<'_, F, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

/// `T` as `F` reads it.
pub(super) struct Read<F, T>(T, PhantomData<F>);

impl<F, T> Read<F, T> {
    pub(super) fn value(self) -> T {
        self.0
    }
}

impl<'de, F: Form<T>, T> Deserialize<'de> for Read<F, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(|value| Self(value, PhantomData))
    }
}

/// For `#[serde(with)]`: a list of what `F` writes.
pub(super) struct List<F>(PhantomData<F>);

impl<F> List<F> {
    pub(super) fn serialize<T, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        serializer.collect_seq(values.iter().map(|value| Written::<F, T>(value, PhantomData)))
    }

    pub(super) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        F: Form<T>,
    {
        let values = Vec::<Read<F, T>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|Read(value, _)| value).collect())
    }
}

/// For `#[serde(with)]`: what `F` writes, or nothing.
pub(super) struct Maybe<F>(PhantomData<F>);

impl<F> Maybe<F> {
    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<T, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        value.as_ref().map(|value| Written::<F, T>(value, PhantomData)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        F: Form<T>,
    {
        Ok(Option::<Read<F, T>>::deserialize(deserializer)?.map(|Read(value, _)| value))
    }
}
