// What both TypeScript servers offer, as far as it does not depend on the SDK: lists, resources, prompts, completions.

import { readFileSync } from 'node:fs';

export const catalogue = JSON.parse(readFileSync(new URL('catalogue.json', import.meta.url), 'utf8'));

/** What lives as long as the process, however many sessions it serves. */
export const state = { extra: false, counter: 0, cancellations: 0 };

/** An error that either SDK answers with the code of invalid parameters. */
export function invalid(message) {
  return Object.assign(new Error(message), { code: -32602 });
}

/** One page of the tools. */
export function toolsPage(cursor) {
  const tools = state.extra ? [...catalogue.tools, catalogue.extra] : catalogue.tools;
  const start = cursor === undefined ? 0 : Number(cursor);
  if (!Number.isInteger(start) || start < 0 || start > tools.length) throw invalid('no such cursor');
  const end = start + catalogue.pageSize;
  return { tools: tools.slice(start, end), ...(end < tools.length && { nextCursor: String(end) }) };
}

export function readResource(uri) {
  if (uri === 'peer://counter') return { contents: [{ uri, mimeType: 'text/plain', text: String(state.counter) }] };
  if (uri === 'peer://bytes') return { contents: [{ uri, mimeType: 'application/octet-stream', blob: catalogue.bytes }] };
  const name = /^peer:\/\/greeting\/([^/]+)$/.exec(uri)?.[1];
  if (name === undefined) throw Object.assign(invalid('no such resource'), { data: { uri } });
  return { contents: [{ uri, mimeType: 'text/plain', text: `Hello, ${decodeURIComponent(name)}!` }] };
}

export function fillPrompt({ name, arguments: filled = {} }) {
  if (name !== 'greet' || !filled.name) throw invalid('no such prompt, or it lacks a name');
  const text = `Greet ${filled.name}, ${filled.style ?? 'casual'}.`;
  return { messages: [{ role: 'user', content: { type: 'text', text } }] };
}

export function completeArgument({ argument }) {
  const values = argument.name === 'style' ? catalogue.styles.filter((style) => style.startsWith(argument.value)) : [];
  return { completion: { values, total: values.length, hasMore: false } };
}

/** The tools that need nothing but their arguments. */
export const plainTools = {
  echo: ({ text }) => say(text),
  add: ({ a, b }) => say(String(a + b), { structuredContent: { sum: a + b } }),
  fail: () => say('it did not work', { isError: true }),
  cancellations: () => say(String(state.cancellations), { structuredContent: { count: state.cancellations } }),
  route: ({ region }) => say(region),
};

export function say(text, more = {}) {
  return { content: [{ type: 'text', text }], ...more };
}

/** Tells progress until it is cancelled or ten seconds are over. */
export async function slow(signal, progress) {
  for (let step = 1; step <= 200 && !signal.aborted; step += 1) {
    await progress(step);
    await new Promise((done) => setTimeout(done, 50));
  }
  if (signal.aborted) {
    state.cancellations += 1;
    console.error('cancelled slow');
  }
  return say('nobody cancelled it');
}

export async function count({ to }, progress) {
  for (let step = 1; step <= to; step += 1) {
    await progress(step, to);
    await new Promise((done) => setTimeout(done, 5));
  }
  return say(`counted to ${to}`);
}

/** Serves HTTP requests, whose body it reads, on a port of the system's choice, and says where. */
export async function listen(handle) {
  const { createServer } = await import('node:http');
  const http = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined;
    await handle(request, response, body);
  });
  http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`));
}
