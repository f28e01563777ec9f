//! How an answer is written down: the name of its test, the status, the body.

use anypod_client::era::{Verdict, judge};
use http::StatusCode;

/// The id of the request that all of them answer.
pub(super) const ID: u64 = 7;

/// Judges an answer as it was recorded.
pub(super) fn verdict(status: u16, body: &str) -> Verdict {
    judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), ID)
}

/// Answers that all get the same verdict, each a test.
macro_rules! recorded {
    ($verdict:ident: $($name:ident: $status:literal $body:expr;)*) => { $(
        #[test]
        fn $name() {
            assert_eq!(super::recorded::verdict($status, $body), anypod_client::era::Verdict::$verdict);
        }
    )* };
}
