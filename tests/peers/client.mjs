// Drives a server through the public API of the TypeScript SDK's client, one line per feature.
//
//   client.mjs --era modern|legacy --url URL [--log FILE]...
//   client.mjs --era modern|legacy --stdio COMMAND [ARGUMENT]...
//
// The server offers the tools, prompts and resources of the conformance fixture, in pages smaller than its list of
// tools, and writes `cancelled NAME` to stderr when it sees a call cancelled; `--log` names the files that hold it.
// Prints `ok NAME`, `FAIL NAME: reason` or `n/a NAME: why` per feature; exits 1 when one failed, 2 on misuse.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import {
  FEATURE_LIMIT_MS, NotApplicable, REQUEST_LIMIT_MS, REVISIONS, check, fill, occurrences, text, until, watchedFetch,
} from './check.mjs';

const options = parse(process.argv.slice(2));
const modern = options.era === 'modern';
const request = { timeout: REQUEST_LIMIT_MS };

/** What the peer saw from outside the SDK's API: GET streams that opened, and the stdio server's stderr. */
const seen = { getStreams: 0, stderr: '' };
/** Questions that the server asked, as the SDK handed them to us. */
const asked = { elicitations: [], samplings: [] };
let toolsChanged = 0;

const features = {
  async connect(client) {
    assert.equal(client.getNegotiatedProtocolVersion(), REVISIONS[options.era]);
    assert.ok(client.getServerVersion()?.name, 'the server has no name');
  },

  async list(client) {
    const { tools } = await client.listTools(undefined, request);
    const names = tools.map((tool) => tool.name);
    for (const name of ['test_simple_text', 'test_structured', 'test_slow', 'test_elicitation', 'test_sampling']) {
      assert.ok(names.includes(name), `no tool ${name} among ${names.length}`);
    }
    assert.equal(new Set(names).size, names.length, 'a tool is listed twice');
  },

  async call(client) {
    const calls = Array.from({ length: 6 }, () => client.callTool({ name: 'test_simple_text' }, request));
    for (const result of await Promise.all(calls)) assert.ok(text(result), 'an empty answer');
    const failed = await client.callTool({ name: 'test_error_handling' }, request);
    assert.equal(failed.isError, true, 'a failing tool answers with isError');
  },

  async structured(client) {
    const result = await client.callTool({ name: 'test_structured', arguments: { a: 2, b: 3 } }, request);
    assert.deepEqual(result.structuredContent, { sum: 5 });
  },

  async progress(client) {
    const steps = [];
    const onprogress = ({ progress }) => steps.push(progress);
    await client.callTool({ name: 'test_tool_with_progress' }, { ...request, onprogress });
    assert.ok(steps.length >= 3, `${steps.length} notifications, not 3`);
    assert.deepEqual(steps, [...steps].sort((a, b) => a - b), 'progress went back');
  },

  async cancel(client) {
    const before = cancellations();
    const abort = new AbortController();
    const onprogress = () => abort.abort(new Error('enough'));
    const call = client.callTool(
      { name: 'test_slow', arguments: { seconds: 15 } },
      { timeout: FEATURE_LIMIT_MS, signal: abort.signal, onprogress },
    );
    await assert.rejects(call, 'the aborted call was answered');
    assert.ok(abort.signal.aborted, 'the call failed before its first progress notification');
    await until(() => cancellations() > before, 'the server did not see the call cancelled');
    await features.call(client);
  },

  async elicitation(client) {
    const before = asked.elicitations.length;
    const result = await client.callTool({ name: 'test_elicitation', arguments: { message: 'Who is it?' } }, request);
    assert.equal(asked.elicitations.length, before + 1, 'asked not exactly once');
    const question = asked.elicitations.at(-1);
    assert.equal(question.message, 'Who is it?');
    assert.equal(question.requestedSchema.type, 'object');
    assert.match(text(result), /testuser/, 'the answer did not reach the tool');
  },

  async sampling(client) {
    const before = asked.samplings.length;
    const result = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'Say it.' } }, request);
    assert.equal(asked.samplings.length, before + 1, 'asked not exactly once');
    assert.match(JSON.stringify(asked.samplings.at(-1).messages), /Say it\./);
    assert.match(text(result), /sampled words/, 'the answer did not reach the tool');
  },

  async rounds(client) {
    if (!modern) throw new NotApplicable('rounds came with 2026-07-28');
    const before = asked.elicitations.length;
    const result = await client.callTool({ name: 'test_input_required_result_multi_round' }, request);
    assert.ok(asked.elicitations.length >= before + 2, 'fewer than two rounds');
    assert.ok(!result.isError, text(result));
  },

  async pagination(client) {
    const { tools } = await client.listTools(undefined, { ...request, cacheMode: 'bypass' });
    const names = [];
    let pages = 0;
    let cursor;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const page = await client.request({ method: 'tools/list', params }, request);
      names.push(...page.tools.map((tool) => tool.name));
      cursor = page.nextCursor;
      pages += 1;
    } while (cursor !== undefined && pages < 60);
    assert.ok(pages > 1, 'one page only: the server must run with a small page size');
    assert.deepEqual(names, tools.map((tool) => tool.name), 'the pages differ from the whole list');
    await assert.rejects(
      client.request({ method: 'tools/list', params: { cursor: 'no-such-cursor' } }, request),
      (error) => error.code === -32602,
      'a forged cursor is answered with -32602',
    );
  },

  async listen(client) {
    if (modern) return listenModern(client);
    if (options.url) return until(() => seen.getStreams > 0, 'no GET stream opened');
    return triggerToolsChanged(client);
  },

  async resources(client) {
    const { resources } = await client.listResources(undefined, request);
    const uris = resources.map((resource) => resource.uri);
    assert.ok(uris.includes('test://static-text') && uris.includes('test://static-binary'), uris.join());
    const [page] = (await client.readResource({ uri: 'test://static-text' }, request)).contents;
    assert.ok(page.text, 'no text');
    const [image] = (await client.readResource({ uri: 'test://static-binary' }, request)).contents;
    assert.ok(Buffer.from(image.blob, 'base64').length > 0, 'no bytes');
    const { resourceTemplates } = await client.listResourceTemplates(undefined, request);
    assert.ok(resourceTemplates.some((template) => template.uriTemplate === 'test://template/{id}/data'));
    const [data] = (await client.readResource({ uri: 'test://template/123/data' }, request)).contents;
    assert.match(data.text, /123/);
    await assert.rejects(client.readResource({ uri: 'test://no-such-resource' }, request));
  },

  async prompts(client) {
    const { prompts } = await client.listPrompts(undefined, request);
    assert.ok(prompts.some((prompt) => prompt.name === 'test_simple_prompt'));
    const filled = { arg1: 'first-value', arg2: 'second-value' };
    const result = await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: filled }, request);
    assert.match(JSON.stringify(result.messages), /first-value.*second-value/);
  },

  async completion(client) {
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
    const { completion } = await client.complete({ ref, argument: { name: 'arg1', value: 'test' } }, request);
    assert.ok(Array.isArray(completion.values));
  },
};

async function listenModern(client) {
  const subscription = await client.listen({ toolsListChanged: true }, request);
  assert.equal(subscription.honoredFilter.toolsListChanged, true, 'the filter was not honoured');
  await triggerToolsChanged(client);
  await subscription.close();
  assert.equal(await subscription.closed, 'local', 'the stream ended before it was closed');
}

/** Changes the list of tools until word of it comes; without a shared bus only the pod that listens tells of it. */
async function triggerToolsChanged(client) {
  const before = toolsChanged;
  for (let attempt = 0; attempt < 6 && toolsChanged === before; attempt += 1) {
    await client.callTool({ name: 'test_trigger_tool_change' }, request);
    await until(() => toolsChanged > before, '', 500).catch(() => {});
  }
  assert.ok(toolsChanged > before, 'no notification of the changed tools');
}

function newClient() {
  const client = new Client(
    { name: 'peer-typescript', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
      versionNegotiation: { mode: modern ? { pin: REVISIONS.modern } : 'legacy' },
    },
  );
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    asked.elicitations.push(params);
    return { action: 'accept', content: fill(params.requestedSchema) };
  });
  client.setRequestHandler('sampling/createMessage', async ({ params }) => {
    asked.samplings.push(params);
    return { role: 'assistant', model: 'peer', content: { type: 'text', text: 'sampled words' } };
  });
  client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///peer' }] }));
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    toolsChanged += 1;
  });
  return client;
}

function newTransport() {
  if (options.url) return new StreamableHTTPClientTransport(new URL(options.url), { fetch: watchedFetch(seen) });
  const [command, ...args] = options.stdio;
  const transport = new StdioClientTransport({ command, args, stderr: 'pipe' });
  transport.stderr.on('data', (bytes) => {
    seen.stderr += bytes;
  });
  return transport;
}

function cancellations() {
  const line = 'cancelled test_slow';
  return options.url ? occurrences(options.logs, line) : seen.stderr.split(line).length - 1;
}

function parse(args) {
  const parsed = { logs: [] };
  while (args.length > 0) {
    const flag = args.shift();
    if (flag === '--era') parsed.era = args.shift();
    else if (flag === '--url') parsed.url = args.shift();
    else if (flag === '--log') parsed.logs.push(args.shift());
    else if (flag === '--stdio') parsed.stdio = args.splice(0);
    else usage(`unknown flag ${flag}`);
  }
  if (!(parsed.era in REVISIONS)) usage('--era is modern or legacy');
  if (!parsed.url === !parsed.stdio?.length) usage('either --url or --stdio');
  if (parsed.url && parsed.logs.length === 0) usage('--url needs the --log of each pod');
  return parsed;
}

function usage(complaint) {
  console.error(`client.mjs: ${complaint}`);
  process.exit(2);
}

const client = newClient();
const transport = newTransport();
const names = Object.keys(features);
let failed = 0;
if (await check('open', () => client.connect(transport, request))) {
  failed = 1 + names.length;
  for (const name of names) console.log(`FAIL ${name}: not connected`);
} else {
  for (const name of names) failed += await check(name, () => features[name](client));
  failed += await check('close', async () => {
    if (options.url && !modern) await transport.terminateSession();
    await client.close();
  });
}
console.log(`typescript ${options.era}: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
