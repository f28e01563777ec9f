// A server of the TypeScript SDK's first generation: legacy only, over HTTP with sessions, or over stdio.
//
//   typescript1.mjs [--stdio]

import { randomUUID } from 'node:crypto';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as schemas from '@modelcontextprotocol/sdk/types.js';
import {
  catalogue, completeArgument, count, fillPrompt, invalid, listen, plainTools, readResource, say, slow, state, toolsPage,
} from './catalogue.mjs';

/** The servers of all sessions, or of stdio's connection. */
const connected = new Set();

const tools = {
  ...plainTools,
  count: (args, call) => count(args, call.progress),
  slow: (_args, call) => slow(call.signal, call.progress),
  ask: async (_args, call) => {
    const answer = await elicit(call, 'Who are you?', catalogue.form);
    return say(answer.action === 'accept' ? JSON.stringify(answer.content) : `answered ${answer.action}`);
  },
  quiz: async (_args, call) => {
    const first = await elicit(call, catalogue.questions.first, catalogue.question);
    const second = await elicit(call, catalogue.questions.second, catalogue.question);
    return say(`${first.content?.answer}, ${second.content?.answer}`);
  },
  sample: async ({ prompt }, call) => {
    const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
    const request = { method: 'sampling/createMessage', params: { messages, maxTokens: 100 } };
    const answer = await call.sendRequest(request, schemas.CreateMessageResultSchema);
    return say(JSON.stringify(answer.content));
  },
  roots: async (_args, call) => {
    const answer = await call.sendRequest({ method: 'roots/list' }, schemas.ListRootsResultSchema);
    return say(answer.roots.map((root) => root.uri).join());
  },
  log: async (_args, call) => {
    for (const level of ['debug', 'info', 'warning', 'error']) {
      await call.server.sendLoggingMessage({ level, data: `a line at ${level}` }, call.sessionId);
    }
    // The lines travel on the session's stream, which the answer on its own must not overtake.
    await new Promise((done) => setTimeout(done, 200));
    return say('logged');
  },
  toggle: async () => {
    state.extra = !state.extra;
    for (const { server } of connected) await server.sendToolListChanged();
    return say('toggled');
  },
  touch: async () => {
    const uri = 'peer://counter';
    state.counter += 1;
    for (const { server, watched } of connected) {
      if (watched.has(uri)) await server.sendResourceUpdated({ uri });
    }
    return say('touched');
  },
};

function elicit(call, message, requestedSchema) {
  return call.sendRequest({ method: 'elicitation/create', params: { message, requestedSchema } }, schemas.ElicitResultSchema);
}

function newServer() {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true },
    prompts: {},
    completions: {},
    logging: {},
  };
  const server = new Server({ name: catalogue.name, version: catalogue.version }, { capabilities });
  const watched = new Set();
  server.setRequestHandler(schemas.ListToolsRequestSchema, ({ params }) => toolsPage(params?.cursor));
  server.setRequestHandler(schemas.CallToolRequestSchema, ({ params }, extra) => {
    const tool = tools[params.name];
    if (!tool) throw invalid(`no tool ${params.name}`);
    const progressToken = extra._meta?.progressToken;
    const progress = async (done, total) => {
      const params = { progressToken, progress: done, total };
      if (progressToken !== undefined) await extra.sendNotification({ method: 'notifications/progress', params });
    };
    return tool(params.arguments ?? {}, { ...extra, server, progress });
  });
  server.setRequestHandler(schemas.ListResourcesRequestSchema, () => ({ resources: catalogue.resources }));
  server.setRequestHandler(schemas.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: catalogue.templates }));
  server.setRequestHandler(schemas.ReadResourceRequestSchema, ({ params }) => readResource(params.uri));
  server.setRequestHandler(schemas.SubscribeRequestSchema, ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  server.setRequestHandler(schemas.UnsubscribeRequestSchema, ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
  server.setRequestHandler(schemas.ListPromptsRequestSchema, () => ({ prompts: catalogue.prompts }));
  server.setRequestHandler(schemas.GetPromptRequestSchema, ({ params }) => fillPrompt(params));
  server.setRequestHandler(schemas.CompleteRequestSchema, ({ params }) => completeArgument(params));
  const connection = { server, watched };
  connected.add(connection);
  server.onclose = () => connected.delete(connection);
  return server;
}

if (process.argv.includes('--stdio')) {
  await newServer().connect(new StdioServerTransport());
} else {
  const sessions = new Map();
  await listen(async (request, response, body) => {
    const id = request.headers['mcp-session-id'];
    const transport = id === undefined ? await open(sessions) : sessions.get(id);
    if (transport) return transport.handleRequest(request, response, body);
    return response.writeHead(404).end();
  });
}

async function open(sessions) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await newServer().connect(transport);
  return transport;
}
