//! Setters for optional fields, so that each is one documented line.

/// Writes `fn setter(mut self, field: Arg) -> Self` for fields of type `Option<_>`.
macro_rules! optional_setters {
    ($type:ty { $($(#[$doc:meta])* $setter:ident($field:ident: $arg:ty);)* }) => {
        impl $type {
            $($(#[$doc])*
            #[must_use]
            pub fn $setter(mut self, $field: $arg) -> Self {
                self.$field = Some($field.into());
                self
            })*
        }
    };
}

pub(crate) use optional_setters;
