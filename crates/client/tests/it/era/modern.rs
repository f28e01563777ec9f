//! Answers that only modern servers give: the client does not fall back.

use super::recorded::verdict;
use anypod_client::era::{Verdict, newest_common};
use anypod_client::proto::version::Version;

recorded! { Modern:
    stays_modern_when_the_headers_do_not_match: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32020,"message":"header mcp-name is `a` but the body says `b`"}}"#;
    stays_modern_when_the_headers_do_not_match_and_nobody_is_named: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32020,"message":"header mcp-method is missing"}}"#;
    stays_modern_when_the_headers_do_not_match_and_the_id_is_null: 400
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"header mismatch"}}"#;
    stays_modern_when_a_capability_is_missing: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32021,"message":"needs elicitation","data":{"requiredCapabilities":{"elicitation":{}}}}}"#;
    stays_modern_when_a_modern_error_has_another_status: 200
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32021,"message":"needs elicitation"}}"#;
    stays_modern_when_a_modern_error_comes_as_an_event: 200
        ": hello\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32021,\"message\":\"needs elicitation\"}}\n\n";
    stays_modern_when_a_modern_error_comes_in_bad_times: 503
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32020,"message":"header mismatch"}}"#;
    stays_modern_when_the_version_is_refused_without_saying_which_are_not: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"Unsupported protocol version"}}"#;
    stays_modern_when_the_version_is_refused_and_offered_at_once: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28","2025-11-25"],"requested":"2026-07-28"}}}"#;
    stays_modern_when_a_method_is_not_found_as_modern_servers_say_it: 404
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}"#;
    stays_modern_when_a_member_of_meta_is_missing: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"`params._meta.io.modelcontextprotocol/clientCapabilities` is missing"}}"#;
    stays_modern_on_a_result_with_a_type: 200
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[]}}"#;
    stays_modern_on_a_question: 200
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{},"requestState":"s"}}"#;
    stays_modern_on_a_result_that_names_the_server: 200
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}}}}"#;
    stays_modern_on_a_discovery: 200
        r#"{"jsonrpc":"2.0","id":7,"result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}"#;
}

#[test]
fn does_not_fall_back_when_no_version_is_common() {
    let body = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"no","data":{"supported":["2099-01-01"],"requested":"2026-07-28"}}}"#;
    let Verdict::Speaks(versions) = verdict(400, body) else { panic!("{:?}", verdict(400, body)) };
    assert_eq!(versions, ["2099-01-01"]);
    assert_eq!(newest_common(&versions), None);
}

#[test]
fn takes_a_legacy_version_that_a_modern_error_offers() {
    let body = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"no","data":{"supported":["2025-03-26","2025-06-18"],"requested":"2026-07-28"}}}"#;
    let Verdict::Speaks(versions) = verdict(400, body) else { panic!("{:?}", verdict(400, body)) };
    assert_eq!(newest_common(&versions), Some(Version::V2025_06_18));
}

#[test]
fn looks_at_no_more_versions_than_there_can_be() {
    let many = format!("[{}\"2099-01-01\"]", format!("\"{}\",", "9".repeat(1000)).repeat(1000));
    let body = format!(r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":-32022,"data":{{"supported":{many}}}}}}}"#);
    assert_eq!(verdict(400, &body), Verdict::Speaks(vec!["2099-01-01".to_owned()]));
    let body = body.replace(&"9".repeat(1000), "2099-01-02");
    let Verdict::Speaks(versions) = verdict(400, &body) else { panic!() };
    assert_eq!(versions.len(), 32);
}
