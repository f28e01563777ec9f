//! Opening the store that an address names.

use std::sync::Arc;

use crate::error::OpenError;
use crate::options::Options;
use crate::store::Store;
use crate::time::Clock;

/// Opens the store at an address, and makes it if nothing is there:
/// - `sqlite:PATH`: a file that all pods of one machine share (feature `sqlite`). Its time is that of `clock`.
/// - `postgres://USER@HOST/DATABASE`, or `postgresql://…`: a database that a fleet shares (feature `postgres`), see
///   `Postgres::open`. Its time is the server's.
///
/// # Errors
/// If the address is none, or of a store that this program was built without, and if the store cannot be opened. No error
/// holds a password.
pub async fn open(url: &str, options: Options, clock: impl Clock) -> Result<Arc<dyn Store>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => sqlite(url, path, options, clock).await,
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => postgres(url, options).await,
        _ => Err(refuse(url, "it begins with neither `sqlite:` nor `postgres://`".to_owned())),
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str, path: &str, options: Options, clock: impl Clock) -> Result<Arc<dyn Store>, OpenError> {
    match path.is_empty() {
        true => Err(refuse(url, "it names no file".to_owned())),
        false => Ok(Arc::new(crate::sqlite::Sqlite::open(path, options, clock).await?)),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(url: &str, _: &str, _: Options, _: impl Clock) -> Result<Arc<dyn Store>, OpenError> {
    Err(lacks(url, "sqlite"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(crate::postgres::Postgres::open(url, options).await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(url: &str, _: Options) -> Result<Arc<dyn Store>, OpenError> {
    Err(lacks(url, "postgres"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn lacks(url: &str, feature: &str) -> OpenError {
    refuse(url, format!("this program was built without the feature `{feature}` of anypod-store"))
}

fn refuse(url: &str, problem: String) -> OpenError {
    OpenError::Address { url: without_password(url), problem }
}

/// As much of an address as may be shown where it cannot be read: a password may stand anywhere between the user and the
/// last `@`, and in any parameter.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // An address of another form, or a path; only the former can have a password.
        let shown = if url.contains('@') { url.split(':').next().unwrap_or_default() } else { url };
        return shown.split(['?', '@']).next().unwrap_or_default().to_owned();
    };
    let without_parameters = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
    match rest.rsplit_once('@') {
        // With `@` in a parameter, what comes before it is no user.
        Some((before, _)) if before.contains('?') => format!("{scheme}://…"),
        Some((before, after)) => {
            let user = before.split([':', '@', '/']).next().unwrap_or_default();
            format!("{scheme}://{user}@{}", without_parameters(after))
        }
        None => format!("{scheme}://{}", without_parameters(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    async fn problem(url: &str) -> String {
        match open(url, Options::default(), || Millis(0)).await {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        for url in ["", "store.db", "postgres:db", "mysql://db/x", "Sqlite:x"] {
            assert!(problem(url).await.contains("neither `sqlite:` nor `postgres://`"), "{url}");
        }
    }

    #[cfg(not(feature = "sqlite"))]
    #[tokio::test]
    async fn a_store_that_was_not_built_in_is_named() {
        assert!(problem("sqlite:x").await.contains("the feature `sqlite`"));
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_file_needs_a_name() {
        assert!(problem("sqlite:").await.contains("names no file"));
    }

    #[cfg(not(feature = "postgres"))]
    #[tokio::test]
    async fn a_store_for_a_fleet_that_was_not_built_in_is_named() {
        assert!(problem("postgres://db/x").await.contains("the feature `postgres`"));
    }

    #[tokio::test]
    async fn a_password_is_not_shown_whatever_the_address_is() {
        let urls = [
            "postgrex://me:s3cret@db/x",
            "postgres:me:s3cret@db",
            "me:s3cret@db",
            "pg://db?password=s3cret",
            "pg://db?password=a@s3cret",
            "pg://me:a?s3cret@db",
            "pg://me:a/b@s3cret@db",
        ];
        for url in urls {
            let shown = problem(url).await;
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
