// Drives a server behind the gateway through the public API of a TypeScript SDK's client, one line per feature.
//
//   cell.mjs --sdk 1|2 --era modern|legacy --script peer|everything --url URL [--log FILE]...
//
// What to ask of which server stands in cell/script.json; `--log` names the files that the servers say in what they saw.
// Prints `ok NAME`, `FAIL NAME: reason` or `n/a NAME: why` per feature; exits 1 when one failed, 2 on misuse.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  FEATURE_LIMIT_MS, NotApplicable, REQUEST_LIMIT_MS, REVISIONS, check, fill, occurrences, text, until, watchedFetch,
} from './check.mjs';

const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const INVALID_PARAMS = -32602;

const { values: options } = parseArgs({
  options: {
    sdk: { type: 'string' },
    era: { type: 'string' },
    script: { type: 'string' },
    url: { type: 'string' },
    log: { type: 'string', multiple: true, default: [] },
  },
});
const script = JSON.parse(readFileSync(new URL('cell/script.json', import.meta.url), 'utf8'))[options.script];
if (!script || !(options.era in REVISIONS) || !options.url || !['1', '2'].includes(options.sdk)) {
  console.error('cell.mjs: see the head of the file');
  process.exit(2);
}
const sdk = await import(`./cell/sdk${options.sdk}.mjs`);
const modern = options.era === 'modern';
const request = { timeout: REQUEST_LIMIT_MS };
const seen = { getStreams: 0, forms: [], samplings: [], changed: { tools: 0, resources: 0 }, updated: [], levels: [] };

const features = {
  async connect(client) {
    assert.equal(sdk.revision(client, transport), REVISIONS[options.era]);
    assert.ok(client.getServerVersion()?.name, 'the server has no name');
  },

  async tools(client) {
    const names = (await sdk.everyPage(client, 'listTools', 'tools', request)).map((tool) => tool.name);
    for (const { call } of [script.echo, script.elicitation, script.sampling]) {
      assert.ok(names.includes(call.name), `no tool ${call.name} among ${names}`);
    }
    assert.equal(new Set(names).size, names.length, 'a tool is listed twice');
    await Promise.all(Array.from({ length: 6 }, () => take(client, script.echo)));
    const failed = await sdk.callTool(client, script.failing.call, request);
    assert.equal(failed.isError, true, 'a failing tool answers with isError');
    const { structuredContent } = await take(client, script.structured);
    assert.deepEqual(structuredContent, script.structured.content);
    await refused(sdk.callTool(client, { name: 'no-such-tool', arguments: {} }, request));
  },

  async prompts(client) {
    const prompts = await sdk.everyPage(client, 'listPrompts', 'prompts', request);
    assert.ok(prompts.some((prompt) => prompt.name === script.prompt.get.name));
    const { messages } = await client.getPrompt(script.prompt.get, request);
    assert.ok(JSON.stringify(messages).includes(script.prompt.expected), JSON.stringify(messages));
  },

  async resources(client) {
    const uris = (await sdk.everyPage(client, 'listResources', 'resources', request)).map((resource) => resource.uri);
    assert.ok(uris.includes(script.resources.text), uris.join());
    const read = async (uri) => (await client.readResource({ uri }, request)).contents[0];
    assert.ok((await read(script.resources.text)).text, 'no text');
    assert.ok(Buffer.from((await read(script.resources.bytes)).blob, 'base64').length > 0, 'no bytes');
    const templates = await sdk.everyPage(client, 'listResourceTemplates', 'resourceTemplates', request);
    assert.ok(templates.some((template) => template.uriTemplate === script.template.template), 'no template');
    assert.ok((await read(script.template.uri)).text.includes(script.template.expected));
    await assert.rejects(read(script.resources.missing), 'a resource that is not there was read');
  },

  elicitation: (client) => asks(client, script.elicitation, seen.forms, 1),
  rounds: (client) => asks(client, script.rounds, seen.forms, 2),
  sampling: (client) => asks(client, script.sampling, seen.samplings, 1),
  roots: (client) => take(client, script.roots),

  async progress(client) {
    const steps = [];
    // The SDK's own notes, one per round, have no total. There is a round where a server asks for the roots of its session
    // just then: server-everything does, 350 ms after the session began.
    const onprogress = ({ progress, total }) => {
      if (total !== undefined) steps.push(progress);
    };
    await take(client, script.progress, { onprogress });
    assert.equal(steps.length, 5, `${steps.length} notifications, not 5: ${steps}`);
    assert.deepEqual(steps, [...steps].sort((a, b) => a - b), 'progress went back');
  },

  async cancellation(client) {
    const { call, logged } = script.cancellation;
    const before = occurrences(options.log, logged);
    const abort = new AbortController();
    const onprogress = () => abort.abort(new Error('enough'));
    const slow = sdk.callTool(client, call, { timeout: FEATURE_LIMIT_MS, signal: abort.signal, onprogress });
    await assert.rejects(slow, 'the aborted call was answered');
    assert.ok(abort.signal.aborted, 'the call failed before its first progress notification');
    await until(() => occurrences(options.log, logged) > before, 'the server did not see the call cancelled');
    await take(client, script.echo);
  },

  async lists(client) {
    const { call, list } = script.lists;
    await listening(client, { [`${list}ListChanged`]: true }, async () => {
      const before = seen.changed[list];
      await sdk.callTool(client, call, request);
      await until(() => seen.changed[list] > before, 'no word of the change');
    });
  },

  async updates(client) {
    const { call, uri } = script.updates;
    if (!modern) await client.subscribeResource({ uri }, request);
    await listening(client, { resourceSubscriptions: [uri] }, async () => {
      seen.updated.length = 0;
      await sdk.callTool(client, call, request);
      await until(() => seen.updated.length > 0, 'no word of the change');
      assert.ok(seen.updated.every((updated) => updated === uri), seen.updated.join());
    });
    if (!modern) await client.unsubscribeResource({ uri }, request);
  },

  async logging(client) {
    const { on, call, levels } = script.logging;
    const level = levels ? levels[0] : 'debug';
    if (!modern) await client.setLoggingLevel(level, request);
    seen.levels.length = 0;
    let turnedOn;
    const onprogress = () => {
      if (on) turnedOn ??= sdk.callTool(client, on, request);
    };
    const params = modern ? { ...call, _meta: { [LOG_LEVEL]: level } } : call;
    await sdk.callTool(client, params, { ...request, onprogress });
    await turnedOn;
    await until(() => seen.levels.length >= (levels?.length ?? 1), `heard only of ${seen.levels}`);
    if (levels) assert.deepEqual(seen.levels, levels);
  },

  async pagination(client) {
    const whole = (await sdk.everyPage(client, 'listTools', 'tools', request)).map((tool) => tool.name);
    const names = [];
    let pages = 0;
    let cursor;
    do {
      const page = await sdk.toolsPage(client, cursor, request);
      names.push(...page.tools.map((tool) => tool.name));
      cursor = page.nextCursor;
      pages += 1;
    } while (cursor !== undefined && pages < 60);
    assert.ok(pages >= script.pages.least, `${pages} pages`);
    assert.deepEqual(settled(names), settled(whole), 'the pages differ from the whole list');
    await assert.rejects(
      sdk.toolsPage(client, 'no-such-cursor', request),
      (error) => error.code === INVALID_PARAMS,
      'a cursor of nobody is answered with -32602',
    );
  },

  async completion(client) {
    const { prompt, name, value, expected } = script.completion;
    const ref = { type: 'ref/prompt', name: prompt };
    const { completion } = await client.complete({ ref, argument: { name, value } }, request);
    assert.ok(completion.values.includes(expected), completion.values.join());
  },
};

/** Calls a tool and holds its text against what is expected. */
async function take(client, { call, expected = [] }, more = {}) {
  const result = await sdk.callTool(client, call, { ...request, ...more });
  assert.ok(!result.isError, text(result));
  for (const part of expected) assert.ok(text(result).includes(part), `${text(result)}, without ${part}`);
  return result;
}

/** Calls a tool that asks so many times. */
async function asks(client, step, asked, times) {
  const before = asked.length;
  await take(client, step);
  assert.equal(asked.length - before, times, `asked ${asked.length - before} times`);
}

/** The servers of the first generation answer so as well. */
async function refused(call) {
  const result = await call.catch(() => undefined);
  assert.ok(result === undefined || result.isError, 'a tool that is not there answered');
}

/** Runs while the client hears of what the filter names: by a stream of its own, or by the session's. */
async function listening(client, filter, run) {
  if (!modern) {
    await until(() => seen.getStreams > 0, 'no GET stream opened');
    return run();
  }
  const subscription = await client.listen(filter, request);
  assert.deepEqual(subscription.honoredFilter, filter, 'the filter was not honoured');
  await run();
  await subscription.close();
  assert.equal(await subscription.closed, 'local', 'the stream ended before it was closed');
}

/** Without the tool that comes and goes, on each pod by itself. */
function settled(names) {
  return names.filter((name) => name !== 'extra');
}

const answers = {
  form: (params) => {
    seen.forms.push(params);
    return { action: 'accept', content: fill(params.requestedSchema) };
  },
  sampling: (params) => {
    seen.samplings.push(params);
    const { content } = params.messages[0];
    return { role: 'assistant', model: 'cell', content: { type: 'text', text: `sampled: ${[content].flat()[0].text}` } };
  },
  roots: () => ({ roots: [{ uri: 'file:///cell' }] }),
};
const hears = {
  changed: (list) => (seen.changed[list] += 1),
  updated: (uri) => seen.updated.push(uri),
  logged: (level) => seen.levels.push(level),
};
const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
const client = sdk.newClient({ name: `cell-${sdk.name}`, version: '1.0.0' }, capabilities, modern, answers, hears);
const transport = sdk.newTransport(new URL(options.url), watchedFetch(seen));
const absent = { ...script.absent, ...(modern && script.absentForModern) };
let failed = 0;
if (await check('open', () => client.connect(transport, request))) {
  failed = 1 + Object.keys(features).length;
  for (const name of Object.keys(features)) console.log(`FAIL ${name}: not connected`);
} else {
  for (const [name, run] of Object.entries(features)) {
    failed += await check(name, async () => {
      if (absent[name]) throw new NotApplicable(absent[name]);
      await run(client);
    });
  }
  failed += await check('close', async () => {
    if (!modern) await transport.terminateSession();
    await client.close();
  });
}
process.exit(failed === 0 ? 0 : 1);
