//! The official schema and its examples: every definition has a type of ours, and every example goes
//! through it unchanged.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anypod_proto::{
    cancellation::*,
    capabilities::*,
    completion::*,
    content::*,
    discover::*,
    elicitation::*,
    implementation::*,
    jsonrpc::*,
    legacy::{downgrade, upgrade},
    logging::*,
    meta::*,
    method::Method,
    progress::*,
    prompts::*,
    resources::*,
    roots::*,
    rounds::*,
    sampling::*,
    subscriptions::*,
    tools::*,
    version::Version,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A definition of the schema and the type that stands for it.
struct Typed {
    name: &'static str,
    round_trip: fn(&Value) -> Result<Value, serde_json::Error>,
}

fn round_trip<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, serde_json::Error> {
    // Through text, as on the wire: a `Value` would hide duplicate keys and borrowed strings.
    serde_json::to_value(serde_json::from_str::<T>(&value.to_string())?)
}

macro_rules! typed {
    ($($name:ident => $type:ty,)*) => {
        const TYPED: &[Typed] = &[$(Typed { name: stringify!($name), round_trip: round_trip::<$type> },)*];
    };
}

typed! {
    Annotations => Annotations,
    AudioContent => ContentBlock,
    BlobResourceContents => BlobResourceContents,
    BooleanSchema => BooleanSchema,
    CallToolRequest => CallToolRequest,
    CallToolRequestParams => CallToolRequestParams,
    CallToolResult => CallToolResult,
    CallToolResultResponse => CallToolResultResponse,
    CancelledNotification => CancelledNotification,
    CancelledNotificationParams => CancelledNotificationParams,
    ClientCapabilities => ClientCapabilities,
    ClientNotification => ClientNotification,
    ClientRequest => ClientRequest,
    ClientResult => EmptyResult,
    CompleteRequest => CompleteRequest,
    CompleteRequestParams => CompleteRequestParams,
    CompleteResult => CompleteResult,
    CompleteResultResponse => CompleteResultResponse,
    ContentBlock => ContentBlock,
    CreateMessageRequest => CreateMessageRequest,
    CreateMessageRequestParams => CreateMessageRequestParams,
    CreateMessageResult => CreateMessageResult,
    Cursor => Cursor,
    DiscoverRequest => DiscoverRequest,
    DiscoverResult => DiscoverResult,
    DiscoverResultResponse => DiscoverResultResponse,
    ElicitRequest => ElicitRequest,
    ElicitRequestFormParams => ElicitRequestFormParams,
    ElicitRequestParams => ElicitRequestParams,
    ElicitRequestURLParams => ElicitRequestUrlParams,
    ElicitResult => ElicitResult,
    EmbeddedResource => ContentBlock,
    EmptyResult => EmptyResult,
    EnumSchema => EnumSchema,
    Error => ErrorObject,
    GetPromptRequest => GetPromptRequest,
    GetPromptRequestParams => GetPromptRequestParams,
    GetPromptResult => GetPromptResult,
    GetPromptResultResponse => GetPromptResultResponse,
    HeaderMismatchError => JsonRpcErrorResponse,
    Icon => Icon,
    ImageContent => ContentBlock,
    Implementation => Implementation,
    InputRequest => InputRequest,
    InputRequests => InputRequests,
    InputRequiredResult => InputRequiredResult,
    InputResponse => InputResponse,
    InputResponseRequestParams => InputResponseRequestParams,
    InputResponses => InputResponses,
    InternalError => ErrorObject,
    InvalidParamsError => ErrorObject,
    InvalidRequestError => ErrorObject,
    JSONArray => JsonArray,
    JSONObject => JsonObject,
    JSONRPCErrorResponse => JsonRpcErrorResponse,
    JSONRPCMessage => JsonRpcMessage,
    JSONRPCNotification => JsonRpcNotification,
    JSONRPCRequest => JsonRpcRequest,
    JSONRPCResponse => JsonRpcResponse,
    JSONRPCResultResponse => JsonRpcResultResponse,
    JSONValue => JsonValue,
    LegacyTitledEnumSchema => LegacyTitledEnumSchema,
    ListPromptsRequest => ListPromptsRequest,
    ListPromptsResult => ListPromptsResult,
    ListPromptsResultResponse => ListPromptsResultResponse,
    ListResourceTemplatesRequest => ListResourceTemplatesRequest,
    ListResourceTemplatesResult => ListResourceTemplatesResult,
    ListResourceTemplatesResultResponse => ListResourceTemplatesResultResponse,
    ListResourcesRequest => ListResourcesRequest,
    ListResourcesResult => ListResourcesResult,
    ListResourcesResultResponse => ListResourcesResultResponse,
    ListRootsRequest => ListRootsRequest,
    ListRootsResult => ListRootsResult,
    ListToolsRequest => ListToolsRequest,
    ListToolsResult => ListToolsResult,
    ListToolsResultResponse => ListToolsResultResponse,
    LoggingLevel => LoggingLevel,
    LoggingMessageNotification => LoggingMessageNotification,
    LoggingMessageNotificationParams => LoggingMessageNotificationParams,
    MetaObject => MetaObject,
    MethodNotFoundError => ErrorObject,
    MissingRequiredClientCapabilityError => JsonRpcErrorResponse,
    ModelHint => ModelHint,
    ModelPreferences => ModelPreferences,
    MultiSelectEnumSchema => MultiSelectEnumSchema,
    NotificationMetaObject => NotificationMeta,
    NotificationParams => NotificationParams,
    NumberSchema => NumberSchema,
    PaginatedRequestParams => PaginatedRequestParams,
    ParseError => ErrorObject,
    PrimitiveSchemaDefinition => PrimitiveSchemaDefinition,
    ProgressNotification => ProgressNotification,
    ProgressNotificationParams => ProgressNotificationParams,
    ProgressToken => ProgressToken,
    Prompt => Prompt,
    PromptArgument => PromptArgument,
    PromptListChangedNotification => PromptListChangedNotification,
    PromptMessage => PromptMessage,
    PromptReference => CompletionReference,
    ReadResourceRequest => ReadResourceRequest,
    ReadResourceRequestParams => ReadResourceRequestParams,
    ReadResourceResult => ReadResourceResult,
    ReadResourceResultResponse => ReadResourceResultResponse,
    RequestId => RequestId,
    RequestMetaObject => RequestMeta,
    RequestParams => RequestParams,
    Resource => Resource,
    ResourceContents => ResourceContents,
    ResourceLink => ContentBlock,
    ResourceListChangedNotification => ResourceListChangedNotification,
    ResourceTemplate => ResourceTemplate,
    ResourceTemplateReference => CompletionReference,
    ResourceUpdatedNotification => ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams => ResourceUpdatedNotificationParams,
    Result => ResultObject,
    ResultMetaObject => ResultMeta,
    ResultType => ResultType,
    Role => Role,
    Root => Root,
    SamplingMessage => SamplingMessage,
    SamplingMessageContentBlock => SamplingMessageContentBlock,
    ServerCapabilities => ServerCapabilities,
    ServerNotification => ServerNotification,
    ServerResult => ResultObject,
    SingleSelectEnumSchema => SingleSelectEnumSchema,
    StringSchema => StringSchema,
    SubscriptionFilter => SubscriptionFilter,
    SubscriptionsAcknowledgedNotification => SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams => SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequest => SubscriptionsListenRequest,
    SubscriptionsListenRequestParams => SubscriptionsListenRequestParams,
    SubscriptionsListenResult => SubscriptionsListenResult,
    SubscriptionsListenResultMetaObject => ResultMeta,
    SubscriptionsListenResultResponse => SubscriptionsListenResultResponse,
    TextContent => ContentBlock,
    TextResourceContents => TextResourceContents,
    TitledMultiSelectEnumSchema => TitledMultiSelectEnumSchema,
    TitledSingleSelectEnumSchema => TitledSingleSelectEnumSchema,
    Tool => Tool,
    ToolAnnotations => ToolAnnotations,
    ToolChoice => ToolChoice,
    ToolListChangedNotification => ToolListChangedNotification,
    ToolResultContent => SamplingMessageContentBlock,
    ToolUseContent => SamplingMessageContentBlock,
    UnsupportedProtocolVersionError => JsonRpcErrorResponse,
    UntitledMultiSelectEnumSchema => UntitledMultiSelectEnumSchema,
    UntitledSingleSelectEnumSchema => UntitledSingleSelectEnumSchema,
}

/// Base interfaces of the schema, whose fields stand in the types that extend them.
const INLINED: &[(&str, &str)] = &[
    ("BaseMetadata", "the fields name and title"),
    ("CacheableResult", "the fields ttl_ms and cache_scope, behind caching::Cacheable"),
    ("Icons", "the field icons"),
    ("Notification", "method and params of JsonRpcNotification"),
    ("PaginatedRequest", "Request<K> with PaginatedRequestParams"),
    ("PaginatedResult", "the field next_cursor"),
    ("Request", "method and params of JsonRpcRequest"),
    ("ResourceRequestParams", "the field uri"),
];

fn specification() -> Option<PathBuf> {
    specification_of(Version::LATEST)
}

fn specification_of(version: Version) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec").join(version.as_str());
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no copy of the specification at {}", path.display());
    None
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON")
}

/// Every example, by definition and file.
fn examples(specification: &Path) -> Vec<(String, PathBuf)> {
    let list = |path: &Path| fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut examples = Vec::new();
    for folder in list(&specification.join("examples")) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        examples.extend(list(&folder).map(|file| (name.clone(), file)));
    }
    assert!(examples.len() > 100, "only {} examples found", examples.len());
    examples
}

fn typed(name: &str) -> &'static Typed {
    TYPED.iter().find(|typed| typed.name == name).unwrap_or_else(|| panic!("no type stands for {name}"))
}

#[test]
fn every_definition_of_the_schema_has_a_type() {
    let Some(specification) = specification() else { return };
    let schema = json_file(&specification.join("schema.json"));
    let defined: BTreeSet<&str> = schema["$defs"].as_object().expect("$defs").keys().map(String::as_str).collect();
    let ours: BTreeSet<&str> =
        TYPED.iter().map(|typed| typed.name).chain(INLINED.iter().map(|(name, _)| *name)).collect();
    assert_eq!(ours, defined);
}

#[test]
fn every_example_decodes_and_encodes_to_an_equal_value() {
    let Some(specification) = specification() else { return };
    for (name, file) in examples(&specification) {
        let mut example = json_file(&file);
        amend(&file, &mut example);
        match (typed(&name).round_trip)(&example) {
            Ok(encoded) => assert_eq!(encoded, example, "{}", file.display()),
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
}

/// The two examples that say otherwise than the schema, made to agree with it.
fn amend(file: &Path, example: &mut Value) {
    let file = file.file_name().expect("a name");
    if file == "list-roots-request.json" {
        // Left over from revisions where it was a request of its own: the schema has no `id` there.
        example.as_object_mut().expect("an object").remove("id").expect("the id that is to be left out");
    }
    if file == "read-resource-result-response.json" {
        // The schema requires caching hints. Absent ones are read as these, and always written.
        let result = example["result"].as_object_mut().expect("a result");
        assert_eq!(result.insert("ttlMs".to_owned(), json!(0)), None);
        assert_eq!(result.insert("cacheScope".to_owned(), json!("private")), None);
    }
}

#[test]
fn every_encoded_example_is_valid_by_the_schema() {
    let Some(specification) = specification() else { return };
    let schema = json_file(&specification.join("schema.json"));
    for (name, file) in examples(&specification) {
        let encoded = (typed(&name).round_trip)(&json_file(&file)).expect("it decodes");
        let validator = validator(&schema, &name);
        if let Err(error) = validator.validate(&encoded) {
            panic!("{}: {error} at {}", file.display(), error.instance_path());
        }
    }
}

/// What our constructors build, by the definition that it must satisfy.
#[test]
fn what_the_constructors_build_is_valid_by_the_schema() {
    let Some(specification) = specification() else { return };
    let schema = json_file(&specification.join("schema.json"));
    for (name, built) in built() {
        if let Err(error) = validator(&schema, name).validate(&built) {
            panic!("{name}: {error} at {} in {built}", error.instance_path());
        }
        assert_eq!((typed(name).round_trip)(&built).expect("it decodes"), built, "{name}");
    }
}

/// Methods that both eras have, and their results.
const RESULTS: [(Method, &str); 8] = [
    (Method::ToolsCall, "CallToolResult"),
    (Method::ToolsList, "ListToolsResult"),
    (Method::PromptsGet, "GetPromptResult"),
    (Method::PromptsList, "ListPromptsResult"),
    (Method::ResourcesList, "ListResourcesResult"),
    (Method::ResourceTemplatesList, "ListResourceTemplatesResult"),
    (Method::ResourcesRead, "ReadResourceResult"),
    (Method::Complete, "CompleteResult"),
];

/// Official results and ours, as each legacy revision gets them.
#[test]
fn every_downgraded_result_is_valid_by_the_legacy_schema() {
    let Some(modern) = specification() else { return };
    let examples = examples(&modern);
    for version in Version::LEGACY {
        let Some(legacy) = specification_of(version) else { return };
        let schema = json_file(&legacy.join("schema.json"));
        for (method, name) in RESULTS {
            let official = examples.iter().filter(|(of, _)| of == name).map(|(_, file)| json_file(file));
            let ours = built().into_iter().filter(|(of, _)| *of == name).map(|(_, value)| value);
            let validator = validator(&schema, name);
            for result in official.chain(ours) {
                let Value::Object(mut result) = result else { panic!("{name} is an object") };
                downgrade(method, version, &mut result);
                let result = Value::Object(result);
                if let Err(error) = validator.validate(&result) {
                    panic!("{name} at {version}: {error} at {} in {result}", error.instance_path());
                }
            }
        }
    }
}

/// Official results and ours, as each legacy revision has them, and as modern clients then know them.
#[test]
fn every_upgraded_result_is_valid_by_the_schema() {
    let Some(modern) = specification() else { return };
    let schema = json_file(&modern.join("schema.json"));
    let examples = examples(&modern);
    for (method, name) in RESULTS {
        let validator = validator(&schema, name);
        let official = examples.iter().filter(|(of, _)| of == name).map(|(_, file)| json_file(file));
        let ours = built().into_iter().filter(|(of, _)| *of == name).map(|(_, value)| value);
        for result in official.chain(ours) {
            for version in Version::LEGACY {
                let Value::Object(mut legacy) = result.clone() else { panic!("{name} is an object") };
                downgrade(method, version, &mut legacy);
                let upgraded = upgrade::result(method, &Value::Object(legacy).to_string()).expect("an object");
                let upgraded: Value = serde_json::from_str(&upgraded).expect("JSON");
                if let Err(error) = validator.validate(&upgraded) {
                    panic!("{name} of {version}: {error} at {} in {upgraded}", error.instance_path());
                }
                assert_eq!((typed(name).round_trip)(&upgraded).expect("it decodes"), upgraded, "{name}");
            }
        }
    }
}

/// Revisions before 2025-11-25 keep their definitions under another keyword.
fn validator(schema: &Value, name: &str) -> jsonschema::Validator {
    let defs = ["$defs", "definitions"].into_iter().find(|key| schema.get(key).is_some()).expect("definitions");
    let schema = json!({ "$schema": schema["$schema"], defs: schema[defs], "$ref": format!("#/{defs}/{name}") });
    jsonschema::validator_for(&schema).expect("a schema")
}

fn value(built: impl Serialize) -> Value {
    serde_json::to_value(built).expect("it encodes")
}

fn built() -> Vec<(&'static str, Value)> {
    let Value::Object(any_object) = json!({ "type": "object" }) else { unreachable!("an object") };
    let resource = Resource::new("file:///a", "a").with_size(3_u64).with_mime_type("text/plain");
    let form = RequestedSchema::new()
        .required("name", StringSchema::new().with_min_length(1).with_max_length(9).with_format(StringFormat::Email))
        .optional("age", NumberSchema::integer().with_minimum(0).with_maximum(150).with_default(30))
        .optional("weight", NumberSchema::number().with_minimum(0.5))
        .optional("ok", BooleanSchema::new().with_default(true))
        .optional("plain", UntitledSingleSelectEnumSchema::new(["a", "b"]).with_default("a"))
        .optional("titled", TitledSingleSelectEnumSchema::new([("a", "A"), ("b", "B")]))
        .optional("some", UntitledMultiSelectEnumSchema::new(["a", "b"]).with_min_items(1).with_max_items(2))
        .optional("some titled", TitledMultiSelectEnumSchema::new([("a", "A")]).with_default(["a".to_owned()]))
        .optional("legacy", LegacyTitledEnumSchema::new([("a", "A")]));
    let form = ElicitRequestFormParams::new("Who?", form);
    let page = ElicitRequestUrlParams::new("Sign in", "https://example.com/");
    let sampling = CreateMessageRequestParams::new(vec![SamplingMessage::user("Hi")], 10)
        .with_temperature(0.5)
        .with_tools([Tool::new("t", any_object.clone())])
        .with_tool_choice(ToolChoiceMode::Auto.into());
    let questions = InputRequests::from([
        ("form".to_owned(), InputRequest::from(form.clone())),
        ("page".to_owned(), page.clone().into()),
        ("model".to_owned(), sampling.clone().into()),
        ("roots".to_owned(), InputRequest::list_roots()),
    ]);
    vec![
        ("Tool", value(Tool::new("t", any_object.clone()).with_title("T").with_output_schema(any_object))),
        ("CallToolResult", value(CallToolResult::text("hi"))),
        ("CallToolResult", value(CallToolResult::error("no"))),
        ("CallToolResult", value(CallToolResult::new(vec![ContentBlock::resource_link(resource.clone())]))),
        ("CallToolResult", value(CallToolResult::structured(Value::Null))),
        ("CallToolResult", value(CallToolResult::structured(json!([1, 2])))),
        ("ContentBlock", value(ContentBlock::image(b"png", "image/png"))),
        ("ContentBlock", value(ContentBlock::audio(b"wav", "audio/wav"))),
        ("ContentBlock", value(ContentBlock::resource_link(resource.clone()))),
        ("ContentBlock", value(ContentBlock::embedded(TextResourceContents::new("file:///a", "text")))),
        ("ListResourcesResult", value(ListResourcesResult::new(vec![resource]))),
        ("ListToolsResult", value(ListToolsResult::default())),
        (
            "ListPromptsResult",
            value(ListPromptsResult::new(vec![
                Prompt::new("p").with_arguments([PromptArgument::required("a"), PromptArgument::optional("b")]),
            ])),
        ),
        (
            "ListResourceTemplatesResult",
            value(ListResourceTemplatesResult::new(vec![ResourceTemplate::new("file:///{path}", "files")])),
        ),
        (
            "GetPromptResult",
            value(GetPromptResult::new(vec![PromptMessage::user("hi"), PromptMessage::assistant("ho")])),
        ),
        (
            "ReadResourceResult",
            value(ReadResourceResult::new(vec![
                BlobResourceContents::from_bytes("file:///b", "image/png", &[0, 255]).into(),
            ])),
        ),
        ("CompleteResult", value(CompleteResult::from(Completion::new(["a"]).with_total(1_u64)))),
        ("DiscoverResult", value(DiscoverResult::new(&[Version::LATEST], ServerCapabilities::default()))),
        ("SubscriptionsListenResult", value(SubscriptionsListenResult::new(7))),
        (
            "SubscriptionsAcknowledgedNotification",
            value(SubscriptionsAcknowledgedNotification::new(SubscriptionsAcknowledgedNotificationParams::new(
                "l",
                SubscriptionFilter::default(),
            ))),
        ),
        ("ElicitRequestFormParams", value(form)),
        ("ElicitRequestURLParams", value(page)),
        ("CreateMessageRequestParams", value(sampling)),
        ("InputRequiredResult", value(InputRequiredResult::new(questions).with_request_state("s"))),
        ("InputRequiredResult", value(InputRequiredResult::again("s"))),
        ("EmptyResult", value(EmptyResult::default())),
        ("ElicitResult", value(ElicitResult::decline())),
        ("CreateMessageResult", value(CreateMessageResult::new("m", "hi").with_stop_reason("endTurn"))),
        ("ListRootsResult", value(ListRootsResult::new(vec![Root::new("file:///r").with_name("r")]))),
        ("ListRootsRequest", value(InputRequest::list_roots())),
        (
            "ProgressNotification",
            value(ProgressNotification::new(
                ProgressNotificationParams::new("t", 1.0).with_total(2.5).with_message("m"),
            )),
        ),
        (
            "Implementation",
            value(
                Implementation::new("n", "1")
                    .with_icons([Icon::new("data:,").with_sizes(["any"]).with_theme(IconTheme::Dark)]),
            ),
        ),
    ]
}
