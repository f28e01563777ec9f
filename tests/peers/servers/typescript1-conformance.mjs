// What the conformance suite asks of a server, on the TypeScript SDK's first generation: legacy only, over HTTP, with
// every session in the memory of this process, as that SDK's own examples do it.
//
//   typescript1-conformance.mjs

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as schemas from '@modelcontextprotocol/sdk/types.js';
import { invalid, listen, say } from './catalogue.mjs';
import { choices, contact, defaults, form, mirrored, PNG, WAV } from './conformance.mjs';

/** Between two messages, so that clients see them come one by one. */
const PAUSE_MS = 50;

/** The servers of all sessions. */
const connected = new Set();

const nothing = { type: 'object' };
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const embedded = (uri, mimeType, text) => ({ type: 'resource', resource: { uri, mimeType, text } });

const tools = {
  test_simple_text: tool('Answers with a text', () => say('This is a simple text response for testing.')),
  test_image_content: tool('Answers with a picture', () => ({ content: [image] })),
  test_audio_content: tool('Answers with a sound', () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })),
  test_embedded_resource: tool('Answers with a resource', () => ({
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  })),
  test_multiple_content_types: tool('Answers with text, picture and resource', () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  })),
  test_error_handling: tool('Always fails', () => say('This tool intentionally returns an error for testing', { isError: true })),
  json_schema_2020_12_tool: tool('Has a schema with much of JSON Schema 2020-12', (args) => say(JSON.stringify(args)), contact),
  test_custom_header: tool('Mirrors its argument in a header, where clients do that', ({ value }) => say(value), mirrored),
  test_tool_with_progress: tool('Reports progress three times', async (_args, call) => {
    for (const progress of [0, 50, 100]) {
      await call.progress(progress, 100);
      await sleep(PAUSE_MS);
    }
    return say('Done.');
  }),
  test_tool_with_logging: tool('Logs three times', logThrice),
  test_logging_tool: tool('Logs three times, to those who asked for it', logThrice),
  test_reconnection: tool('Takes a moment', async () => {
    await sleep(PAUSE_MS);
    return say('Nothing here depends on one connection.');
  }),
  test_trigger_tool_change: tool('Says that the tools changed', async () => {
    for (const server of connected) await server.sendToolListChanged();
    return say('Announced.');
  }),
  test_trigger_prompt_change: tool('Says that the prompts changed', async () => {
    for (const server of connected) await server.sendPromptListChanged();
    return say('Announced.');
  }),
  test_sampling: tool(
    "Asks the client's model",
    async ({ prompt }, call) => say(`LLM response: ${(await sample(call, prompt)).content.text}`),
    form({ prompt: { type: 'string' } }),
  ),
  test_elicitation: tool(
    'Asks the person',
    async ({ message }, call) => {
      const asked = form({ username: { type: 'string' }, email: { type: 'string', format: 'email' } });
      return outcome('User response', await elicit(call, message, asked));
    },
    form({ message: { type: 'string' } }),
  ),
  test_elicitation_sep1034_defaults: tool('Asks with defaults of all kinds', async (_args, call) =>
    outcome('Elicitation completed', await elicit(call, 'Please review the values', defaults))),
  test_elicitation_sep1330_enums: tool('Asks with choices of all kinds', async (_args, call) =>
    outcome('Elicitation completed', await elicit(call, 'Please choose', choices))),
  test_missing_capability: tool('Needs a client that samples', askModel),
  test_streaming_elicitation: tool('Asks without a request on the stream', askName),
  test_input_required_result_elicitation: tool('Asks the person', askName),
  test_input_required_result_sampling: tool("Asks the client's model", askModel),
  test_input_required_result_list_roots: tool('Asks for roots', async (_args, call) =>
    say(`${(await roots(call)).roots.length} roots`)),
  test_input_required_result_request_state: tool('Asks for confirmation', confirm),
  test_input_required_result_tampered_state: tool('Asks for confirmation', confirm),
  test_input_required_result_multiple_inputs: tool('Asks three questions at once', async (_args, call) => {
    const name = elicit(call, 'What is your name?', form({ name: { type: 'string' } }));
    const answers = await Promise.all([name, sample(call, 'Generate a greeting'), roots(call)]);
    return say(JSON.stringify(answers));
  }),
  test_input_required_result_multi_round: tool('Asks one question after the other', async (_args, call) => {
    const name = await elicit(call, 'Step 1: What is your name?', form({ name: { type: 'string' } }));
    const colour = await elicit(call, 'Step 2: What is your favorite color?', form({ color: { type: 'string' } }));
    return say(JSON.stringify([name, colour]));
  }),
  test_input_required_result_capabilities: tool('Asks in the way that the client declared', (args, call) => {
    const { sampling, elicitation } = call.server.getClientCapabilities() ?? {};
    if (sampling) return askModel(args, call);
    return elicitation ? askName(args, call) : say('This client cannot be asked.');
  }),
};

const prompts = {
  test_simple_prompt: prompt('A prompt without arguments', [], () => [spoken('This is a simple prompt for testing.')]),
  test_prompt_with_arguments: prompt('A prompt with two arguments', ['arg1', 'arg2'], ({ arg1, arg2 }) => [
    spoken(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ]),
  test_prompt_with_embedded_resource: prompt('A prompt with a resource', ['resourceUri'], ({ resourceUri }) => [
    { role: 'user', content: embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.') },
    spoken('Please process the embedded resource above.'),
  ]),
  test_prompt_with_image: prompt('A prompt with a picture', [], () => [
    { role: 'user', content: image },
    spoken('Please analyze the image above.'),
  ]),
  test_input_required_result_prompt: prompt('A prompt that asks first', [], async (_args, call) => {
    const asked = form({ context: { type: 'string' } });
    const { content } = await elicit(call, 'What context should the prompt use?', asked);
    return [spoken(`Use this context: ${content?.context}`)];
  }),
};

const resources = [
  { uri: 'test://static-text', name: 'static-text', mimeType: 'text/plain' },
  { uri: 'test://static-binary', name: 'static-binary', mimeType: 'image/png' },
  { uri: 'test://watched-resource', name: 'watched-resource', mimeType: 'text/plain' },
];
const template = { uriTemplate: 'test://template/{id}/data', name: 'template-data', mimeType: 'application/json' };

function tool(description, run, inputSchema = nothing) {
  return { description, run, inputSchema };
}

function prompt(description, names, fill) {
  return { description, arguments: names.map((name) => ({ name, required: true })), fill };
}

function spoken(text) {
  return { role: 'user', content: { type: 'text', text } };
}

function elicit(call, message, requestedSchema) {
  return call.sendRequest({ method: 'elicitation/create', params: { message, requestedSchema } }, schemas.ElicitResultSchema);
}

function sample(call, text) {
  const request = { method: 'sampling/createMessage', params: { messages: [spoken(text)], maxTokens: 100 } };
  return call.sendRequest(request, schemas.CreateMessageResultSchema);
}

function roots(call) {
  return call.sendRequest({ method: 'roots/list' }, schemas.ListRootsResultSchema);
}

function outcome(what, { action, content }) {
  return say(`${what}: action=${action}, content=${JSON.stringify(content ?? {})}`);
}

async function askName(_args, call) {
  return outcome('Hello', await elicit(call, 'What is your name?', form({ name: { type: 'string' } })));
}

async function askModel(_args, call) {
  return say((await sample(call, 'What is the capital of France?')).content.text);
}

async function confirm(_args, call) {
  return outcome('state-ok', await elicit(call, 'Please confirm', form({ ok: { type: 'boolean' } })));
}

async function logThrice(_args, call) {
  for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await call.sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
    await sleep(PAUSE_MS);
  }
  return say('Logged three times.');
}

function read(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) return { uri, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true }) };
  const resource = resources.find((resource) => resource.uri === uri);
  if (!resource) throw Object.assign(invalid('no such resource'), { data: { uri } });
  const content = resource.mimeType === 'image/png' ? { blob: PNG } : { text: 'This is the content of the static text resource.' };
  return { uri, mimeType: resource.mimeType, ...content };
}

function newServer() {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true },
    prompts: { listChanged: true },
    completions: {},
    logging: {},
  };
  const server = new Server({ name: 'typescript1-conformance', version: '1.0.0' }, { capabilities });
  const named = (table) => Object.entries(table).map(([name, { run, fill, ...shown }]) => ({ name, ...shown }));
  server.setRequestHandler(schemas.ListToolsRequestSchema, () => ({ tools: named(tools) }));
  server.setRequestHandler(schemas.CallToolRequestSchema, ({ params }, extra) => {
    const { progressToken } = extra._meta ?? {};
    const progress = async (progress, total) => {
      const params = { progressToken, progress, total };
      if (progressToken !== undefined) await extra.sendNotification({ method: 'notifications/progress', params });
    };
    return known(tools, params.name).run(params.arguments ?? {}, { ...extra, server, progress });
  });
  server.setRequestHandler(schemas.ListPromptsRequestSchema, () => ({ prompts: named(prompts) }));
  server.setRequestHandler(schemas.GetPromptRequestSchema, async ({ params }, extra) => ({
    messages: await known(prompts, params.name).fill(params.arguments ?? {}, extra),
  }));
  server.setRequestHandler(schemas.ListResourcesRequestSchema, () => ({ resources }));
  server.setRequestHandler(schemas.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: [template] }));
  server.setRequestHandler(schemas.ReadResourceRequestSchema, ({ params }) => ({ contents: [read(params.uri)] }));
  server.setRequestHandler(schemas.SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(schemas.UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(schemas.CompleteRequestSchema, ({ params }) => {
    const values = ['paris', 'park', 'party'].filter((word) => word.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  connected.add(server);
  server.onclose = () => connected.delete(server);
  return server;
}

function known(table, name) {
  if (!Object.hasOwn(table, name)) throw invalid(`there is no ${name}`);
  return table[name];
}

const sessions = new Map();
await listen(async (request, response, body) => {
  const local = /^(?:http:\/\/)?(?:127\.0\.0\.1|localhost)(?::\d+)?$/;
  if (![request.headers.host, request.headers.origin ?? 'localhost'].every((value) => local.test(value))) {
    return response.writeHead(403).end();
  }
  const id = request.headers['mcp-session-id'];
  const transport = id === undefined ? await open() : sessions.get(id);
  if (transport) return transport.handleRequest(request, response, body);
  return response.writeHead(404).end();
});

async function open() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await newServer().connect(transport);
  return transport;
}
