//! Answers that no modern server gives: the client falls back.

recorded! { Legacy:
    falls_back_when_the_server_is_not_initialized: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#;
    falls_back_when_the_session_header_is_required: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Mcp-Session-Id header is required"},"id":null}"#;
    falls_back_when_no_valid_session_id_was_provided: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
    falls_back_when_the_version_header_is_refused_without_the_modern_code: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Unsupported protocol version (supported versions: 2025-06-18, 2025-03-26)"},"id":null}"#;
    falls_back_when_the_version_header_is_refused_under_an_id_of_the_servers_own: 400
        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Unsupported protocol version: 2026-07-28. Supported versions: 2025-03-26, 2025-06-18"}}"#;
    falls_back_when_the_version_header_is_refused_in_plain_text: 400
        "Bad Request: Unsupported protocol version (supported versions: 2025-11-25,2025-06-18)\n";
    falls_back_when_the_missing_session_is_reported_under_an_id_of_the_servers_own: 400
        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
    falls_back_when_the_missing_session_is_reported_under_an_empty_id: 400
        r#"{"jsonrpc":"2.0","id":"","error":{"code":-32000,"message":"A new session can only be created by an initialize request"}}"#;
    falls_back_when_the_missing_session_is_reported_without_any_id: 400
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Session ID missing"}}"#;
    falls_back_when_the_session_is_not_found: 404
        r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}"#;
    falls_back_when_the_session_is_invalid_in_plain_text: 404 "Invalid session ID\n";
    falls_back_when_not_found_is_empty: 404 "";
    falls_back_when_not_found_is_a_page: 404 "<!DOCTYPE html><html><body><h1>Not Found</h1></body></html>";
    falls_back_when_an_unknown_method_is_not_found_under_no_id: 404
        r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":null}"#;
    falls_back_when_a_bad_request_is_a_page: 400 "<html><head><title>400 Bad Request</title></head></html>";
    falls_back_when_a_bad_request_is_empty: 400 "";
    falls_back_when_a_bad_request_is_json_but_not_json_rpc: 400 r#"{"error":"bad_request","code":-32022}"#;
    falls_back_when_a_bad_request_has_an_error_that_is_a_text: 400 r#"{"jsonrpc":"2.0","id":7,"error":"no session"}"#;
    falls_back_when_a_bad_request_is_cut_off: 400 r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"mess"#;
    falls_back_when_a_bad_request_is_no_utf_8_to_speak_of: 400 "\u{fffd}\u{fffd}\0";
    falls_back_when_credentials_are_refused_though_a_session_is_meant: 401 "Unauthorized: Session ID is required";
    falls_back_when_credentials_are_refused_in_silence: 401 "";
    falls_back_when_credentials_are_refused_in_json: 401 r#"{"error":"invalid_token"}"#;
    falls_back_when_the_request_is_forbidden_by_a_page: 403 "<html>403 Forbidden</html>";
    falls_back_when_post_is_not_allowed: 405
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Method not allowed."},"id":null}"#;
    falls_back_when_post_is_not_allowed_in_silence: 405 "";
    falls_back_when_nothing_acceptable_is_there: 406
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Not Acceptable"},"id":null}"#;
    falls_back_when_the_media_type_is_not_supported: 415
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Unsupported Media Type"},"id":null}"#;
    falls_back_when_initialize_was_expected: 422 "Unexpected message, expect initialize request";
    falls_back_when_a_login_page_is_all_there_is: 200 "<html><form action=\"/login\"></form></html>";
    falls_back_when_the_answer_is_empty: 200 "";
    falls_back_when_the_request_is_taken_for_a_notification: 202 "";
    falls_back_when_the_answer_is_a_batch: 200 r#"[{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}]"#;
    falls_back_when_the_answer_is_json_of_another_api: 200 r#"{"status":"ok"}"#;
    falls_back_when_the_version_is_refused_as_initialize_does: 200
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2024-11-05"],"requested":"2026-07-28"}}}"#;
    falls_back_when_an_error_comes_as_an_event_under_no_id: 200
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"Server not initialized\"},\"id\":null}\n\n";
    falls_back_when_the_endpoint_of_the_old_transport_is_announced: 200 "event: endpoint\ndata: /messages?session=1\n\n";
    falls_back_on_a_code_of_an_extension_of_legacy_revisions_under_no_id: 400
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32042,"message":"URL elicitation required"}}"#;
    falls_back_on_a_redirect_that_was_not_followed: 302 "";
}
