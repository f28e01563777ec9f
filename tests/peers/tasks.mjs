// Drives a server's tasks through the official TypeScript client of the Tasks extension, one line per feature.
//
//   tasks.mjs --era modern|legacy --url URL --pod URL --pod URL [--prefix UPSTREAM]
//
// The server offers the conformance fixture's tools. `--url` is where a balancer answers; each `--pod` is where one of the
// two behind it does, for what has to be begun at one and ended at the other. Legacy are the tasks of 2025-11-25, which are
// driven through the SDK of that time, too. `--prefix` is the upstream whose tools those are, behind a gateway that has several.
// Prints `ok NAME`, `FAIL NAME: reason` or `n/a NAME: why` per feature; exits 1 when one failed, 2 on misuse.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createApplicationInputHandler, createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { NotApplicable, REQUEST_LIMIT_MS, REVISIONS, check, fill, text, until } from './check.mjs';
import { dispatchTo } from './tasks/dispatch.mjs';

const EXTENSION = 'io.modelcontextprotocol/tasks';
/** What a server answers that misses the declaration of the extension. */
const MISSING_CAPABILITY = -32021;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;
/** How long the fixture's tasks want to be left alone between two looks, and how long they are kept. */
const POLL_MS = 200;
const TTL_MS = 3_600_000;
const options = parse(process.argv.slice(2));
/** What a tool of the fixture is called here. */
const tool = (name) => (options.prefix === undefined ? name : `${options.prefix}__${name}`);
/** An id that looks like one of the server's. */
const UNKNOWN = `${options.prefix === undefined ? '' : `${options.prefix}+`}${'0'.repeat(32)}`;
const modern = options.era === 'modern';
const request = { timeout: REQUEST_LIMIT_MS };
const NAME = { name: 'peer-typescript-tasks', version: '1.0.0' };

/** A client with its session, and what was seen of them. */
class Peer {
  sent = [];
  asked = [];
  heard = [];
  errors = [];

  static async open(url, { declares = true } = {}) {
    const peer = new Peer();
    const extensions = { [EXTENSION]: {} };
    const capabilities = { elicitation: { form: {} }, ...(declares && modern ? { extensions } : {}) };
    peer.client = new Client(NAME, {
      capabilities,
      versionNegotiation: { mode: modern ? { pin: REVISIONS.modern } : 'legacy' },
    });
    // The session calls this one before it looks itself.
    peer.client.fallbackNotificationHandler = async (notification) => peer.heard.push(notification);
    await peer.client.connect(new StreamableHTTPClientTransport(new URL(url), {}), request);
    if (!declares) return peer;
    const framing = { protocolVersion: REVISIONS.modern, clientInfo: NAME, clientCapabilities: capabilities };
    peer.session = createTaskSessionFromClient(peer.client, {
      endpointId: 'fixture',
      onInputRequest: peer.answers(),
      onError: (error) => peer.errors.push(error),
      ...(modern ? { rawDispatch: dispatchTo(url, peer.sent), v2RequestFraming: framing } : {}),
    });
    return peer;
  }

  answers() {
    const other = () => assert.fail('asked for something else than a form');
    return createApplicationInputHandler({
      elicitation: (asked, context) => {
        this.asked.push({ ...asked, delivery: context.delivery });
        return { action: 'accept', content: content(asked.params) };
      },
      sampling: other,
      roots: other,
    });
  }

  /** Calls a tool and sees it to its end; gives how it came, what it was on the way, and how it ended. */
  async settled(name, args, task) {
    const execution = await this.session.callTool(tool(name), args, { task });
    const states = [];
    const onEvent = (event) => event.type === 'task' && states.push(event.task.status);
    const { outcome, lastTask } = await execution.settle({ onEvent });
    return { kind: execution.kind, states, outcome, lastTask };
  }

  async close() {
    await this.session?.close();
    await this.client.close();
  }
}

/** What a form is answered: yes, with its own question for a name, so that answers cannot be confused. */
function content({ message, requestedSchema }) {
  const answer = fill(requestedSchema);
  if ('confirm' in answer) answer.confirm = true;
  if ('name' in answer) answer.name = message;
  return answer;
}

/** Runs with a client of its own. */
async function withPeer(url, run, how) {
  const peer = await Peer.open(url, how);
  try {
    await run(peer);
    assert.deepEqual(peer.errors.map(String), [], 'the session complains');
  } finally {
    await peer.close();
  }
}

function completed({ kind, outcome }) {
  assert.equal(kind, 'task', 'the call did not become a task');
  assert.equal(outcome.status, 'completed', String(outcome.error));
  return outcome.result;
}

/** Work that takes a moment, and what it has to give. */
const work = { seconds: 0.5, label: 'a label' };
const taskOnly = { preference: 'require' };

const features = {
  async declared(peer) {
    const capabilities = peer.session.capabilities;
    assert.equal(capabilities.execution, true, 'the server runs no tools as tasks');
    assert.equal(capabilities.cancellation, true, 'the server cancels nothing');
    assert.equal(capabilities.inputResponses, modern);
  },

  async call(peer) {
    const settled = await peer.settled('slow_compute', work, taskOnly);
    assert.deepEqual(completed(settled).structuredContent, { seconds: 0.5, label: 'a label' });
    assert.equal(settled.states[0], 'working', settled.states.join());
    assert.equal(settled.states.at(-1), 'completed', settled.states.join());
  },

  async many(peer) {
    const labels = Array.from({ length: 8 }, (_, at) => `label ${at}`);
    const calls = labels.map((label) => peer.settled('slow_compute', { seconds: 0.2, label }, taskOnly));
    const results = (await Promise.all(calls)).map((settled) => completed(settled).structuredContent.label);
    assert.deepEqual(results, labels);
  },

  async immediate(peer) {
    const { kind, outcome } = await peer.settled('greet', { name: 'Ada' });
    assert.equal(kind, 'immediate');
    assert.equal(text(outcome.result), 'Hello, Ada!');
  },

  async is_error(peer) {
    const { kind, outcome } = await peer.settled('failing_job', {}, taskOnly);
    assert.equal(kind, 'task');
    if (!modern) return assert.equal(outcome.status, 'failed', '2025-11-25: a task whose tool has failed has failed');
    assert.equal(outcome.status, 'completed', String(outcome.error));
    assert.equal(outcome.result.isError, true);
    assert.match(text(outcome.result), /the job failed/);
  },

  async failed(peer) {
    const { outcome, lastTask } = await peer.settled('protocol_error_job', {}, taskOnly);
    assert.equal(outcome.status, 'failed');
    assert.equal(lastTask.status, 'failed');
    assert.match(outcome.error.message, /the job cannot be done/);
    if (modern) assert.equal(outcome.error.code, INTERNAL_ERROR);
  },

  async input(peer) {
    if (!modern) return inputFirst('confirm_delete', { filename: 'a.txt' }, 1, /^deleted a\.txt$/);
    const before = peer.asked.length;
    const settled = await peer.settled('confirm_delete', { filename: 'a.txt' }, taskOnly);
    assert.equal(text(completed(settled)), 'deleted a.txt');
    assert.ok(settled.states.includes('input_required'), settled.states.join());
    assert.equal(peer.asked.length, before + 1, 'asked not exactly once');
    assert.equal(peer.asked.at(-1).params.message, 'Delete a.txt?');
    assert.equal(peer.asked.at(-1).delivery, 'task-update');
  },

  async two_inputs(peer) {
    if (!modern) return inputFirst('multi_input', {}, 2, /^The first\? and The second\?$/);
    const before = peer.asked.length;
    const settled = await peer.settled('multi_input', {}, taskOnly);
    assert.equal(text(completed(settled)), 'The first? and The second?');
    assert.equal(peer.asked.length, before + 2, 'asked not exactly twice');
  },

  async rounds_first(peer) {
    if (!modern) throw new NotApplicable('calls become tasks at once');
    const before = peer.asked.length;
    const settled = await peer.settled('test_tool_with_task', {}, taskOnly);
    assert.equal(text(completed(settled)), 'Hello, What is your name?');
    assert.deepEqual(peer.asked.slice(before).map((asked) => asked.delivery), ['request-retry']);
  },

  async cancel(peer) {
    const execution = await peer.session.callTool(tool('slow_compute'), { ...work, seconds: 20 }, { task: taskOnly });
    await execution.cancel();
    const { outcome } = await execution.settle();
    assert.equal(outcome.status, 'cancelled');
    const { taskId } = execution.handle;
    assert.equal((await peer.session.task(taskId).snapshot()).status, 'cancelled');
    // What is over stays as it is.
    if (modern) await peer.session.cancelTask(taskId);
    else await assert.rejects(peer.session.cancelTask(taskId), (error) => error.code === INVALID_PARAMS);
    assert.equal((await peer.session.task(taskId).snapshot()).status, 'cancelled');
  },

  async recovered() {
    // The pod that is asked later need not be the one that does the work.
    const { reference } = await leftAt(options.pods[0], 'slow_compute', { ...work, seconds: 1 });
    await withPeer(options.pods[1], async (other) => {
      const execution = await other.session.resumeTask(reference);
      const { outcome } = await execution.settle();
      assert.deepEqual(outcome.result?.structuredContent, { seconds: 1, label: 'a label' }, String(outcome.error));
    });
  },

  async recovered_input() {
    if (!modern) throw new NotApplicable('the client answers no questions of a task that it recovers');
    const { reference } = await leftAt(options.pods[1], 'confirm_delete', { filename: 'b.txt' });
    await withPeer(options.pods[0], async (other) => {
      const { outcome } = await (await other.session.resumeTask(reference)).settle();
      assert.equal(outcome.status, 'completed', String(outcome.error));
      assert.equal(text(outcome.result), 'deleted b.txt');
      assert.equal(other.asked.length, 1);
    });
  },

  async unknown(peer) {
    const task = peer.session.task(UNKNOWN);
    const unknown = (error) => error.code === INVALID_PARAMS;
    await assert.rejects(task.snapshot(), unknown, 'tasks/get');
    await assert.rejects(task.cancel(), unknown, 'tasks/cancel');
    if (modern) await assert.rejects(task.update({ confirm: { action: 'cancel' } }), unknown, 'tasks/update');
    await assert.rejects(peer.session.task('no such id').snapshot(), unknown, 'an id that none can have');
  },

  async undeclared() {
    if (!modern) throw new NotApplicable('clients declare it with each call');
    await withPeer(options.url, async (plain) => {
      const result = await plain.client.callTool({ name: tool('slow_compute'), arguments: work }, request);
      assert.deepEqual(result.structuredContent, { seconds: 0.5, label: 'a label' });
      const refused = (error) => error.code === MISSING_CAPABILITY;
      const deletion = { name: tool('confirm_delete'), arguments: { filename: 'c.txt' } };
      await assert.rejects(plain.client.callTool(deletion, request), refused);
    }, { declares: false });
  },

  async poll(peer) {
    const before = peer.sent.length;
    const { lastTask } = await peer.settled('slow_compute', { ...work, seconds: 1.2 }, taskOnly);
    assert.equal(lastTask.suggestedPollIntervalMs, POLL_MS);
    if (!modern) return;
    const looks = peer.sent.slice(before).filter((method) => method === 'tasks/get').length;
    assert.ok(looks >= 3 && looks <= 9, `${looks} looks in 1.2 s, one each ${POLL_MS} ms`);
  },

  async ttl(peer) {
    const { lastTask } = await peer.settled('slow_compute', { ...work, seconds: 0 }, taskOnly);
    assert.equal(lastTask.retentionMs, TTL_MS);
    assert.ok(Date.parse(lastTask.createdAt) > Date.now() - 60_000, lastTask.createdAt);
    assert.ok(Date.parse(lastTask.lastUpdatedAt) >= Date.parse(lastTask.createdAt), lastTask.lastUpdatedAt);
  },

  async expires(peer) {
    // It asks for something, and the one who left it there does not answer.
    const { reference } = await leftAt(options.url, 'short_lived', {});
    const task = peer.session.task(reference.taskId);
    assert.equal((await task.snapshot()).retentionMs, 1_000);
    const outcome = await task.result();
    assert.equal(outcome.status, 'failed', 'it ended in time');
    assert.match(outcome.error.message, /expired/);
  },

  async told(peer) {
    if (!modern) throw new NotApplicable('the server sends no notifications of such tasks');
    // Nobody would look at it for a minute.
    const execution = await peer.session.callTool(tool('rarely_polled'), work, { task: taskOnly });
    const { taskId } = execution.handle;
    const before = peer.sent.length;
    const subscription = await peer.client.listen({ taskIds: [taskId] }, request);
    const { outcome } = await execution.settle();
    assert.deepEqual(outcome.result?.structuredContent, { seconds: 0.5, label: 'a label' }, String(outcome.error));
    assert.ok(!peer.sent.slice(before).includes('tasks/get'), 'the client looked, and need not have');
    const notices = peer.heard.filter(({ method, params }) => method === 'notifications/tasks' && params.taskId === taskId);
    assert.equal(notices.at(-1)?.params.status, 'completed');
    await subscription.close();
  },

  async listed(peer) {
    if (modern) throw new NotApplicable('there is no list');
    const { handle } = await peer.session.callTool(tool('slow_compute'), work, { task: taskOnly });
    if (peer.session.capabilities.inventory !== 'server-list') throw new NotApplicable('the server has no list');
    let page = await peer.session.listTasks();
    for (let pages = 1; !page.tasks.some((task) => task.taskId === handle.taskId); pages += 1) {
      assert.ok(page.nextCursor !== undefined && pages < 50, 'the task is on no page');
      page = await peer.session.listTasks(page.nextCursor);
    }
  },

  async first_client(peer) {
    if (modern) throw new NotApplicable('the SDK of that time knows no such tasks');
    await withFirst(async (client) => {
      const messages = await streamed(client, 'slow_compute', work);
      assert.equal(messages[0].type, 'taskCreated');
      assert.deepEqual(messages.at(-1).result?.structuredContent, { seconds: 0.5, label: 'a label' });
      const { taskId } = messages[0].task;
      assert.equal((await client.experimental.tasks.getTask(taskId)).status, 'completed');
      const again = await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
      assert.deepEqual(again.structuredContent, { seconds: 0.5, label: 'a label' });
      assert.equal(again._meta?.['io.modelcontextprotocol/related-task']?.taskId, taskId);
    });
  },
};

/** A task that is created at one pod by a client that goes away. */
async function leftAt(url, name, args) {
  let reference;
  await withPeer(url, async (peer) => {
    const execution = await peer.session.callTool(tool(name), args, { task: taskOnly });
    await execution.handoff((kept) => {
      reference = kept;
    });
    // Until it is done with that, a session that is closed cancels the task.
    await execution.result();
  });
  return { reference };
}

/** A client of the SDK that had the tasks of 2025-11-25. */
async function withFirst(run, asked = []) {
  const client = new FirstClient(NAME, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
    asked.push(params);
    return { action: 'accept', content: content(params) };
  });
  await client.connect(new FirstTransport(new URL(options.url)));
  try {
    await client.listTools();
    await run(client);
  } finally {
    await client.close();
  }
}

async function streamed(client, name, args) {
  const messages = [];
  const call = client.experimental.tasks.callToolStream({ name: tool(name), arguments: args }, CallToolResultSchema, { task: {} });
  for await (const message of call) messages.push(message);
  const last = messages.at(-1);
  assert.equal(last.type, 'result', String(last.error));
  return messages;
}

/** Questions of a legacy task come on the stream of `tasks/result`, which only that SDK asks for before the task's end. */
async function inputFirst(name, args, questions, expected) {
  const asked = [];
  await withFirst(async (client) => {
    const messages = await streamed(client, name, args);
    assert.match(text(messages.at(-1).result), expected);
    assert.equal(asked.length, questions, `asked ${asked.length} times, not ${questions}`);
    const related = asked.map((params) => params._meta?.['io.modelcontextprotocol/related-task']?.taskId);
    assert.ok(related.every((id) => id === messages[0].task.taskId), `questions of ${related}`);
  }, asked);
}

function parse(args) {
  const parsed = { pods: [] };
  while (args.length > 0) {
    const flag = args.shift();
    if (flag === '--era') parsed.era = args.shift();
    else if (flag === '--url') parsed.url = args.shift();
    else if (flag === '--pod') parsed.pods.push(args.shift());
    else if (flag === '--prefix') parsed.prefix = args.shift();
    else usage(`unknown flag ${flag}`);
  }
  if (!(parsed.era in REVISIONS)) usage('--era is modern or legacy');
  if (!parsed.url || parsed.pods.length !== 2) usage('one --url and two --pod');
  return parsed;
}

function usage(complaint) {
  console.error(`tasks.mjs: ${complaint}`);
  process.exit(2);
}

let failed = 0;
for (const [name, run] of Object.entries(features)) {
  failed += await check(name, () => withPeer(options.url, run));
}
console.log(`typescript tasks ${options.era}: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
