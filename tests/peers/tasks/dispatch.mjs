// Requests of 2026-07-28 whose results the SDK's client does not know: sent as they are, with nothing but the headers and
// the metadata that the specification asks for.

import { REVISIONS } from '../check.mjs';

const NAMED = { 'tools/call': 'name', 'tasks/get': 'taskId', 'tasks/update': 'taskId', 'tasks/cancel': 'taskId' };

/**
 * What `createTaskSessionFromClient` calls `rawDispatch`: one request to `url` and the response to it. Every method that
 * was sent is appended to `sent`.
 */
export function dispatchTo(url, sent) {
  let last = 0;
  return async (request, { signal, context } = {}) => {
    const id = `raw-${(last += 1)}`;
    sent.push(request.method);
    const name = request.params[NAMED[request.method]];
    const response = await fetch(url, {
      method: 'POST',
      signal,
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': REVISIONS.modern,
        'Mcp-Method': request.method,
        ...(name === undefined ? {} : { 'Mcp-Name': name }),
        ...context?.headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id, ...request }),
    });
    const message = await answerTo(id, response);
    if (message.error) return { kind: 'error', error: message.error };
    return { kind: 'result', result: message.result };
  };
}

/** The response among what came: one message, or a stream of them. */
async function answerTo(id, response) {
  const body = await response.text();
  const type = response.headers.get('content-type') ?? '';
  const messages = type.startsWith('text/event-stream') ? events(body) : [JSON.parse(body)];
  const answer = messages.find((message) => message.id === id && ('result' in message || 'error' in message));
  if (!answer) throw new Error(`HTTP ${response.status} without a response to ${id}: ${body.slice(0, 200)}`);
  return answer;
}

function events(body) {
  const data = (event) => event.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5));
  const texts = body.split(/\r?\n\r?\n/).map((event) => data(event).join('\n').trim());
  return texts.filter((text) => text !== '').map((text) => JSON.parse(text));
}
