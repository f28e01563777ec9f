// A server of the TypeScript SDK's second generation, in both eras.
//
//   typescript.mjs [--stdio]
//
// Over HTTP, legacy clients get sessions, beside the handler that serves modern ones.

import { randomUUID } from 'node:crypto';
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { Server, acceptedContent, createMcpHandler, inputRequired, isLegacyRequest } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import {
  catalogue, completeArgument, count, fillPrompt, invalid, listen, plainTools, readResource, say, slow, state, toolsPage,
} from './catalogue.mjs';

const MINUTE = { ttlMs: 60_000, cacheScope: 'private' };

/** Tells modern listeners over HTTP; over stdio each server tells its own. */
let notifier;
/** The servers of all legacy sessions, and of stdio's connection. */
const connected = new Set();

const tools = {
  ...plainTools,
  count: (args, call) => count(args, call.progress),
  slow: (_args, call) => slow(call.signal, call.progress),
  ask: (_args, call) => {
    const form = acceptedContent(call.inputResponses, 'form');
    if (form) return say(JSON.stringify(form));
    if (call.inputResponses?.form) return say(`answered ${call.inputResponses.form.action}`);
    return needs('form', inputRequired.elicit({ message: 'Who are you?', requestedSchema: catalogue.form }));
  },
  quiz: (_args, call) => {
    const first = call.requestState() ?? acceptedContent(call.inputResponses, 'first')?.answer;
    const second = acceptedContent(call.inputResponses, 'second')?.answer;
    if (second !== undefined) return say(`${first}, ${second}`);
    const key = first === undefined ? 'first' : 'second';
    const question = inputRequired.elicit({ message: catalogue.questions[key], requestedSchema: catalogue.question });
    return inputRequired({ inputRequests: { [key]: question }, ...(first !== undefined && { requestState: first }) });
  },
  sample: ({ prompt }, call) => {
    const answer = call.inputResponses?.sample;
    if (answer) return say(JSON.stringify(answer.content));
    const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
    return needs('sample', inputRequired.createMessage({ messages, maxTokens: 100 }));
  },
  roots: (_args, call) => {
    const answer = call.inputResponses?.roots;
    if (answer) return say(answer.roots.map((root) => root.uri).join());
    return needs('roots', inputRequired.listRoots());
  },
  log: async (_args, call) => {
    for (const level of ['debug', 'info', 'warning', 'error']) await call.log(level, `a line at ${level}`);
    return say('logged');
  },
  toggle: async () => {
    state.extra = !state.extra;
    notifier?.toolsChanged();
    for (const { server } of connected) await server.sendToolListChanged();
    return say('toggled');
  },
  touch: async () => {
    const uri = 'peer://counter';
    state.counter += 1;
    notifier?.resourceUpdated(uri);
    for (const { server, modern, watched } of connected) {
      if (modern || watched.has(uri)) await server.sendResourceUpdated({ uri });
    }
    return say('touched');
  },
};

function needs(key, request) {
  return inputRequired({ inputRequests: { [key]: request } });
}

function newServer({ era }) {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: {},
    completions: {},
    logging: {},
  };
  const cacheHints = { 'tools/list': MINUTE, 'resources/read': MINUTE, 'server/discover': MINUTE };
  const server = new Server({ name: catalogue.name, version: catalogue.version }, { capabilities, cacheHints });
  const connection = { server, modern: era === 'modern', watched: new Set() };
  server.setRequestHandler('tools/list', ({ params }) => toolsPage(params?.cursor));
  server.setRequestHandler('tools/call', ({ params }, { mcpReq }) => {
    const tool = tools[params.name];
    if (!tool) throw invalid(`no tool ${params.name}`);
    const progressToken = mcpReq._meta?.progressToken;
    const progress = async (done, total) => {
      const params = { progressToken, progress: done, total };
      if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params });
    };
    return tool(params.arguments ?? {}, { ...mcpReq, progress });
  });
  server.setRequestHandler('resources/list', () => ({ resources: catalogue.resources }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: catalogue.templates }));
  server.setRequestHandler('resources/read', ({ params }) => readResource(params.uri));
  server.setRequestHandler('resources/subscribe', ({ params }) => {
    connection.watched.add(params.uri);
    return {};
  });
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    connection.watched.delete(params.uri);
    return {};
  });
  server.setRequestHandler('prompts/list', () => ({ prompts: catalogue.prompts }));
  server.setRequestHandler('prompts/get', ({ params }) => fillPrompt(params));
  server.setRequestHandler('completion/complete', ({ params }) => completeArgument(params));
  return connection;
}

if (process.argv.includes('--stdio')) {
  serveStdio((context) => {
    const connection = newServer(context);
    connected.add(connection);
    connection.server.onclose = () => connected.delete(connection);
    return connection.server;
  });
} else {
  const handler = createMcpHandler((context) => newServer(context).server, { legacy: 'reject' });
  notifier = handler.notify;
  const modern = toNodeHandler(handler);
  const sessions = new Map();
  await listen(async (request, response, body) => {
    if (!(await isLegacyRequest(await toWebRequest(request, body), body))) return modern(request, response, body);
    const id = request.headers['mcp-session-id'];
    const transport = id === undefined ? await open(sessions) : sessions.get(id);
    if (transport) return transport.handleRequest(request, response, body);
    return response.writeHead(404).end();
  });
}

async function open(sessions) {
  const connection = newServer({ era: 'legacy' });
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => {
      sessions.set(id, transport);
      connected.add(connection);
    },
  });
  connection.server.onclose = () => {
    sessions.delete(transport.sessionId);
    connected.delete(connection);
  };
  await connection.server.connect(transport);
  return transport;
}
