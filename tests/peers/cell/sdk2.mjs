// The client of the TypeScript SDK's second generation, in both eras.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { REVISIONS } from '../check.mjs';

export const name = 'typescript';

export function newTransport(url, fetch) {
  return new StreamableHTTPClientTransport(url, { fetch });
}

/** A client that answers questions by `answers`, and tells `hears` of notifications. */
export function newClient(info, capabilities, modern, answers, hears) {
  const versionNegotiation = { mode: modern ? { pin: REVISIONS.modern } : 'legacy' };
  const client = new Client(info, { capabilities, versionNegotiation });
  client.setRequestHandler('elicitation/create', async ({ params }) => answers.form(params));
  client.setRequestHandler('sampling/createMessage', async ({ params }) => answers.sampling(params));
  client.setRequestHandler('roots/list', async () => answers.roots());
  client.setNotificationHandler('notifications/tools/list_changed', () => hears.changed('tools'));
  client.setNotificationHandler('notifications/resources/list_changed', () => hears.changed('resources'));
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => hears.updated(params.uri));
  client.setNotificationHandler('notifications/message', ({ params }) => hears.logged(params.level));
  return client;
}

export function revision(client) {
  return client.getNegotiatedProtocolVersion();
}

export function callTool(client, params, options) {
  return client.callTool(params, options);
}

/** One page. */
export function toolsPage(client, cursor, options) {
  return client.request({ method: 'tools/list', params: cursor === undefined ? {} : { cursor } }, options);
}

/** Every page of a list, whose method and member are named. */
export async function everyPage(client, method, member, options) {
  return (await client[method](undefined, { ...options, cacheMode: 'bypass' }))[member];
}
