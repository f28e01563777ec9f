//! Answers that servers of both eras give: `server/discover` tells, or the attempt to fall back.

recorded! { Unclear:
    asks_further_when_a_method_is_not_found_with_success: 200
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}"#;
    asks_further_when_a_method_is_not_found_in_an_event: 200
        "event: message\nid: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}\n\n";
    asks_further_when_a_method_is_not_found_with_a_bad_request: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}"#;
    asks_further_when_the_parameters_are_invalid_with_success: 200
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Invalid request parameters","data":""}}"#;
    asks_further_when_the_parameters_are_invalid_with_a_bad_request: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"unknown tool: add"}}"#;
    asks_further_when_the_request_comes_back_in_the_error: 400
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Invalid","data":{"_meta":{"io.modelcontextprotocol/clientInfo":{}}}}}"#;
    asks_further_when_a_tool_fails_with_a_code_of_its_own: 200
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":17,"message":"out of stock"}}"#;
    asks_further_when_the_server_fails: 500
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"internal error"}}"#;
    asks_further_when_the_server_fails_under_no_id: 500
        r#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal server error"},"id":null}"#;
    asks_further_when_the_server_fails_with_a_page: 500 "<html><h1>Internal Server Error</h1></html>";
    asks_further_when_a_result_has_no_type: 200 r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#;
    asks_further_when_a_result_is_empty: 200 r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
}

recorded! { NotNow:
    learns_nothing_from_a_server_that_is_full: 503 "";
    learns_nothing_from_a_server_that_is_full_and_says_so: 503
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"the server is busy"}}"#;
    learns_nothing_from_a_balancer_that_finds_no_pod: 502 "<html><h1>502 Bad Gateway</h1></html>";
    learns_nothing_from_a_balancer_that_waits_in_vain: 504 "<html><h1>504 Gateway Time-out</h1></html>";
    learns_nothing_from_a_share_that_is_used_up: 429 "Too Many Requests";
}
