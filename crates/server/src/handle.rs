//! State across calls, by handles that travel in arguments and results.
//!
//! A tool creates something and gives back its handle; other tools take the handle among their arguments. What it stands
//! for is in a store that all pods share, or travels sealed in the handle itself, so any pod can take any of the calls.
//! Nothing hangs on a connection or a session: the model sees the handle, and can keep several apart.

mod handles;
mod kind;
mod sealed;
mod stored;
mod ttl;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use handles::Handles;
pub use ttl::Ttl;

/// How many characters of a handle a log may show.
const SHOWN: usize = 6;
/// The keyword of schemas under which stands where a handle comes from, until the server is built: see [`take_origins`].
const ORIGIN: &str = "x-anypod-handle";

/// What handles can stand for. [`Handles`] keeps it as JSON.
///
/// ```
/// use anypod_server::Held;
///
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct Cart { items: Vec<String> }
///
/// impl Held for Cart {
///     const KIND: &str = "cart";
///     const CREATED_BY: &str = "create_cart";
/// }
/// ```
///
/// A kind that no handle can begin with does not compile:
///
/// ```compile_fail,E0080
/// # use anypod_server::{Handles, Held};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Cart;
/// impl Held for Cart {
///     const KIND: &str = "Shopping cart";
///     const CREATED_BY: &str = "create_cart";
/// }
/// let carts = Handles::<Cart>::sealed();
/// ```
#[diagnostic::on_unimplemented(
    message = "no handle can stand for `{Self}`",
    note = "implement `anypod_server::Held`, which names its kind and the tool that creates it; it also takes \
            `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Held: Serialize + DeserializeOwned + Send + 'static {
    /// What it is, in a word for models: every handle begins with it. Lower-case letters, digits and single `_`, 32 at
    /// most, a letter first. Handles of one kind do not stand for anything of another.
    const KIND: &str;
    /// The tool that creates one. Models are sent there when a handle stands for nothing, so a server whose tools take or give
    /// such handles, as the schemas that are derived for them say, is not built without it.
    const CREATED_BY: &str;
}

/// A handle on a `T`: a text in arguments, results and schemas, which [`Handles`] makes and finds the `T` by. It is good for
/// the caller for whom it was made, and for nobody else; where callers are anonymous, for whoever has it.
///
/// In arguments it is whatever text the caller sent. Only [`Handles::load`] and its siblings say whether there is anything
/// behind it. It can be the result of a [step](crate::Cx::step). Who has it may be able to use it, so it goes to the
/// caller and into no log: `Debug` shows its beginning, and there is no `Display`.
pub struct Handle<T> {
    text: Box<str>,
    of: PhantomData<fn() -> T>,
}

/// A value as it was found.
struct Found {
    /// As JSON.
    text: String,
    /// What has to be known to put it back: its version in the store, or the second when its token is over.
    mark: u64,
}

impl<T> Handle<T> {
    /// The text, as callers have it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T: Held> Handle<T> {
    fn new(id: &str) -> Self {
        Self { text: format!("{}_{id}", T::KIND).into(), of: PhantomData }
    }

    /// What comes after the kind, if this can be a handle on a `T` at all.
    fn id(&self) -> Option<&str> {
        let id = self.text.strip_prefix(T::KIND)?.strip_prefix('_')?;
        let is_base64url = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (is_base64url && id.len() >= stored::ID_LEN).then_some(id)
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T> Eq for Handle<T> {}

impl<T> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// As much of it as a log may know. Of what is no handle nothing, as it can be anything.
impl<T: Held> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id().and_then(|id| id.get(..SHOWN)) {
            Some(beginning) => write!(f, "Handle({}_{beginning}…)", T::KIND),
            None => f.write_str("Handle(…)"),
        }
    }
}

impl<T> Serialize for Handle<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T> Deserialize<'de> for Handle<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { text: Box::deserialize(deserializer)?, of: PhantomData })
    }
}

/// A text. The description of a field that is one takes the place of the description here, and leaves the title, so that
/// models read in either case where such handles come from.
impl<T: Held> JsonSchema for Handle<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Handle_of_{}", T::KIND).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (kind, created_by) = (T::KIND, T::CREATED_BY);
        json_schema!({
            "type": "string",
            ORIGIN: [kind, created_by],
            "title": format!("Handle `{kind}_…` from `{created_by}`"),
            "description": format!(
                "A handle that begins with `{kind}_`. `{created_by}` gives one; when a later result gives another, that \
                 one counts. Pass it on unchanged."
            ),
        })
    }
}

/// Where handles come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) kind: String,
    pub(crate) created_by: String,
}

/// Takes out of a schema where the handles in it come from: callers read it in titles and descriptions.
pub(crate) fn take_origins(schema: &mut Value) -> BTreeSet<Origin> {
    let mut origins = BTreeSet::new();
    match schema {
        Value::Object(members) => {
            // A property of that name is a schema, and no array.
            if let Some([Value::String(kind), Value::String(created_by)]) =
                members.get(ORIGIN).and_then(Value::as_array).map(Vec::as_slice)
            {
                origins.insert(Origin { kind: kind.clone(), created_by: created_by.clone() });
                members.shift_remove(ORIGIN);
            }
            members.values_mut().for_each(|member| origins.append(&mut take_origins(member)));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| origins.append(&mut take_origins(item))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Cart;

    impl Held for Cart {
        const KIND: &str = "cart";
        const CREATED_BY: &str = "create_cart";
    }

    fn read(text: &str) -> Handle<Cart> {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn a_handle_is_its_text_in_json() {
        let handle = Handle::<Cart>::new("0123456789abcdef0123456789abcdef");
        assert_eq!(serde_json::to_value(&handle).unwrap(), "cart_0123456789abcdef0123456789abcdef");
        assert_eq!(read(handle.as_str()), handle);
    }

    #[test]
    fn debug_shows_the_beginning_of_a_handle_and_nothing_of_anything_else() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(format!("{:?}", Handle::<Cart>::new(id)), "Handle(cart_012345…)");
        for other in ["", "cart_012345", &format!("order_{id}"), &format!("cart_{} {}", &id[1..], "f"), "my password"] {
            assert_eq!(format!("{:?}", read(other)), "Handle(…)", "{other}");
        }
    }
}
