//! Everything of one kind: how it is kept, and what is done with it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::seal::MAX_PAYLOAD_LEN;
use anypod_store::Store;
use tokio::time::sleep;

use super::kind::Kind;
use super::sealed::Sealed;
use super::stored::Stored;
use super::{Found, Handle, Held, Ttl};
use crate::cx::Cx;
use crate::error::Result;

/// How often a change is tried that others get ahead of.
const TRIES: u32 = 12;
/// The longest pause after the first time. It doubles each time, so that many who change the same thing spread out.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// The longest pause of all.
const LONGEST_PAUSE: Duration = Duration::from_millis(256);
/// How large a sealed value may be unless its author says otherwise: a model has to copy all of it, character by character.
const SEALED_BYTES: usize = 512;

/// Keeps every `T` of a server, and makes [`Handle`]s on them. Given to the server as state, and cheap to clone.
///
/// [Stored](Self::stored) values are in a store that all pods share. [Sealed](Self::sealed) ones are in the handle: nothing
/// is kept anywhere, the handle is longer, and each change makes another. Handlers are the same for both, if they give back
/// the handle that [`update`](Self::update) gives them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use anypod_server::{Args, Cx, Handle, Handles, Held, Json, Result, Server, State, Tool, Ttl};
/// use anypod_server::store::Memory;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart { items: Vec<String> }
///
/// impl Held for Cart {
///     const KIND: &str = "cart";
///     const CREATED_BY: &str = "create_cart";
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Changed { cart: Handle<Cart>, items: usize }
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Add { cart: Handle<Cart>, item: String }
///
/// async fn create_cart(State(carts): State<Handles<Cart>>, cx: Cx) -> Result<Json<Changed>> {
///     Ok(Json(Changed { cart: carts.create(&cx, Cart::default()).await?, items: 0 }))
/// }
///
/// async fn add(Args(Add { cart, item }): Args<Add>, State(carts): State<Handles<Cart>>, cx: Cx) -> Result<Json<Changed>> {
///     let add = |cart: &mut Cart| {
///         cart.items.push(item.clone());
///         cart.items.len()
///     };
///     let (items, cart) = carts.update(&cx, &cart, add).await?;
///     Ok(Json(Changed { cart, items }))
/// }
///
/// // One process; a fleet shares a database.
/// let carts = Handles::<Cart>::stored(Arc::new(Memory::default())).ttl(Ttl::sliding(Duration::from_secs(3600)));
/// let server = Server::new("shop", "1.0.0")
///     .state(carts)
///     .tool(Tool::new("create_cart", create_cart))
///     .tool(Tool::new("add", add))
///     .build()
///     .unwrap();
/// ```
///
/// # Whose it is
///
/// A handle is good for the [`Principal`](crate::Principal) for whom it was made, and only on a server with the same store,
/// or the same ring and [audience](crate::ServerBuilder::audience). To anybody else there is nothing behind it. Where
/// callers are anonymous, whoever has a handle can use it.
///
/// # In rounds and tasks
///
/// [`create`](Self::create), [`update`](Self::update) and [`remove`](Self::remove) are effects. A handler that asks, or runs
/// as a task, does them in a [step](Cx::step), as it runs again from its start:
///
/// ```
/// # use anypod_server::{Cx, Handle, Handles, Held, Result, State, form};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Cart { owner: String }
/// # impl Held for Cart { const KIND: &str = "cart"; const CREATED_BY: &str = "create_cart"; }
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Name { name: String }
/// async fn create_cart(State(carts): State<Handles<Cart>>, cx: Cx) -> Result<String> {
///     let cart = cx.step("create", || carts.create(&cx, Cart::default())).await?;
///     if let Some(Name { name }) = cx.ask("name", form("Who is it for?")).await?.into_accepted() {
///         let named = |cart: &mut Cart| cart.owner = name.clone();
///         let ((), cart) = cx.step("name it", || carts.update(&cx, &cart, named)).await?;
///         return Ok(format!("The cart is {}", cart.as_str()));
///     }
///     Ok(format!("The cart is {}", cart.as_str()))
/// }
/// # let tool = anypod_server::Tool::new("create_cart", create_cart);
/// # anypod_server::Server::new("s", "1").state(Handles::<Cart>::sealed()).tool(tool).build().unwrap();
/// ```
///
/// The key of a step must not be that of a question. A step whose record is lost runs again, as everywhere: a value that was
/// created twice is there twice, and the one that nobody knows goes when its time is over.
///
/// # Errors
///
/// What models can do something about, they read as a tool error: that nothing is behind a handle and which tool to call,
/// that it is no handle at all, that a value is too large, that a caller has too many, that a value was written by another
/// version of the program, that others change it all the time. When the store is away, the call is answered 503.
pub struct Handles<T> {
    kind: Kind,
    form: Form,
    ttl: Ttl,
    most: usize,
    of: PhantomData<fn() -> T>,
}

/// Where values are.
#[derive(Clone)]
enum Form {
    /// In a store.
    Stored(Arc<dyn Store>),
    /// In their handles.
    Sealed,
}

impl<T: Held> Handles<T> {
    /// Values in this store, which all pods share. Kinds share a store too; a caller may have as many values in it as its
    /// options say.
    pub fn stored(store: Arc<dyn Store>) -> Self {
        Self::new(Form::Stored(store), usize::MAX)
    }

    /// Values that travel in their handles, sealed with the server's [keys](crate::ServerBuilder::keys): small ones, of 512
    /// bytes at most unless [`most_bytes`](Self::most_bytes) says otherwise.
    ///
    /// Nobody can read or change them outside, and nobody can take them back: an older handle still stands for the older
    /// value until its time is over. Where that must not be, as with what is worth money, store them.
    pub fn sealed() -> Self {
        Self::new(Form::Sealed, SEALED_BYTES)
    }

    fn new(form: Form, most: usize) -> Self {
        Self { kind: Kind::of::<T>(), form, ttl: Ttl::default(), most, of: PhantomData }
    }

    /// How long a value is kept. Default: a day from when it was last used.
    #[must_use]
    pub const fn ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// How many bytes a value may have as JSON. By default, what the store takes, or 512 for sealed values. More than 48 KiB
    /// less 49 bytes are never sealed. A sealed handle is a third longer than its value.
    #[must_use]
    pub const fn most_bytes(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Keeps a value, and gives the handle by which its caller finds it again.
    ///
    /// # Errors
    /// If it is too large, the caller has too many, or the store is away.
    pub async fn create(&self, cx: &Cx, value: T) -> Result<Handle<T>> {
        let text = self.write(&value)?;
        let id = match &self.form {
            Form::Stored(store) => self.in_store(store).create(cx, text).await?,
            Form::Sealed => self.in_handle().create(cx, &text)?,
        };
        Ok(Handle::new(&id))
    }

    /// The value behind a handle.
    ///
    /// # Errors
    /// If there is none for this caller, it has another form than `T`, or the store is away.
    pub async fn load(&self, cx: &Cx, handle: &Handle<T>) -> Result<T> {
        let (_id, found) = self.find(cx, handle).await?;
        self.read(&found.text)
    }

    /// Changes the value behind a handle, and gives what `change` gave and the handle to go on with.
    ///
    /// No change of a stored value is lost, however many there are at once: `change` is done again on what others have made
    /// of the value meanwhile, so it does nothing but change the value. Changes of a sealed value make handles of their own.
    ///
    /// # Errors
    /// If there is no such value for this caller, it has another form than `T` or becomes too large, or others change it all
    /// the time; nothing is changed then. If the store is away, which leaves open whether it was changed.
    pub async fn update<R>(
        &self,
        cx: &Cx,
        handle: &Handle<T>,
        mut change: impl FnMut(&mut T) -> R,
    ) -> Result<(R, Handle<T>)> {
        self.try_update(cx, handle, |value| Ok(change(value))).await
    }

    /// The same with a change that may fail, and then changes nothing.
    ///
    /// ```
    /// # use anypod_server::{Cx, Error, Handle, Handles, Held, Result};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Cart { items: Vec<String> }
    /// # impl Held for Cart { const KIND: &str = "cart"; const CREATED_BY: &str = "create_cart"; }
    /// async fn take_out(carts: Handles<Cart>, cx: Cx, cart: Handle<Cart>, item: String) -> Result<Handle<Cart>> {
    ///     let take_out = |cart: &mut Cart| match cart.items.iter().position(|other| *other == item) {
    ///         Some(at) => Ok(cart.items.remove(at)),
    ///         None => Err(Error::tool(format_args!("there is no {item} in this cart"))),
    ///     };
    ///     let (_item, cart) = carts.try_update(&cx, &cart, take_out).await?;
    ///     Ok(cart)
    /// }
    /// ```
    ///
    /// # Errors
    /// What `change` fails with, and as [`Handles::update`].
    pub async fn try_update<R>(
        &self,
        cx: &Cx,
        handle: &Handle<T>,
        mut change: impl FnMut(&mut T) -> Result<R>,
    ) -> Result<(R, Handle<T>)> {
        for tried in 0..TRIES {
            let (id, Found { text, mark }) = self.find(cx, handle).await?;
            let (result, text) = {
                let mut value = self.read(&text)?;
                let result = change(&mut value)?;
                (result, self.write(&value)?)
            };
            let replaced = match &self.form {
                Form::Stored(store) => self.in_store(store).replace(cx, id, mark, text).await?,
                Form::Sealed => self.in_handle().replace(cx, mark, &text).map(Some)?,
            };
            if let Some(id) = replaced {
                return Ok((result, Handle::new(&id)));
            }
            sleep(pause(cx, tried)).await;
        }
        Err(self.kind.contended())
    }

    /// Deletes the value behind a handle. Gives whether there was one.
    ///
    /// A sealed value is in the hands of those who have its handle, and stays good until its time is over.
    ///
    /// # Errors
    /// If the store is away.
    pub async fn remove(&self, cx: &Cx, handle: &Handle<T>) -> Result<bool> {
        let Some(id) = handle.id() else { return Ok(false) };
        match &self.form {
            Form::Stored(store) => self.in_store(store).remove(cx, id).await,
            Form::Sealed => Ok(self.in_handle().load(cx, id)?.is_some()),
        }
    }

    /// What is behind a handle, and the part of the handle that names it.
    async fn find<'a>(&self, cx: &Cx, handle: &'a Handle<T>) -> Result<(&'a str, Found)> {
        let id = handle.id().ok_or_else(|| self.kind.malformed())?;
        let found = match &self.form {
            Form::Stored(store) => self.in_store(store).load(cx, id).await?,
            Form::Sealed => self.in_handle().load(cx, id)?,
        };
        found.map(|found| (id, found)).ok_or_else(|| self.kind.unknown())
    }

    fn read(&self, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| self.kind.of_another_form(&error))
    }

    fn write(&self, value: &T) -> Result<String> {
        let text = serde_json::to_string(value).map_err(|error| self.kind.not_json(&error))?;
        let most = match self.form {
            Form::Stored(_) => self.most,
            Form::Sealed => self.most.min(MAX_PAYLOAD_LEN),
        };
        match text.len() <= most {
            true => Ok(text),
            false => Err(self.kind.too_large(text.len(), most)),
        }
    }

    const fn in_store<'a>(&self, store: &'a Arc<dyn Store>) -> Stored<'a> {
        Stored { store, kind: self.kind, ttl: self.ttl }
    }

    const fn in_handle(&self) -> Sealed {
        Sealed { kind: self.kind, ttl: self.ttl }
    }
}

/// A random part of a time that grows, so that those who got in each other's way do not meet again.
fn pause(cx: &Cx, tried: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << tried.min(16)).min(LONGEST_PAUSE);
    let [part] = cx.server().outside().random();
    longest.mul_f64(f64::from(part) / 256.0)
}

impl<T> Clone for Handles<T> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, form: self.form.clone(), ttl: self.ttl, most: self.most, of: PhantomData }
    }
}

impl<T> fmt::Debug for Handles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Stored(_) => "stored",
            Form::Sealed => "sealed",
        };
        f.debug_struct("Handles").field("kind", &self.kind).field("form", &form).field("ttl", &self.ttl).finish()
    }
}
