// The client of the TypeScript SDK's first generation, which is legacy only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as schemas from '@modelcontextprotocol/sdk/types.js';

export const name = 'typescript1';

export function newTransport(url, fetch) {
  return new StreamableHTTPClientTransport(url, { fetch });
}

/** A client that answers questions by `answers`, and tells `hears` of notifications. */
export function newClient(info, capabilities, _modern, answers, hears) {
  const client = new Client(info, { capabilities });
  client.setRequestHandler(schemas.ElicitRequestSchema, ({ params }) => answers.form(params));
  client.setRequestHandler(schemas.CreateMessageRequestSchema, ({ params }) => answers.sampling(params));
  client.setRequestHandler(schemas.ListRootsRequestSchema, () => answers.roots());
  client.setNotificationHandler(schemas.ToolListChangedNotificationSchema, () => hears.changed('tools'));
  client.setNotificationHandler(schemas.ResourceListChangedNotificationSchema, () => hears.changed('resources'));
  client.setNotificationHandler(schemas.ResourceUpdatedNotificationSchema, ({ params }) => hears.updated(params.uri));
  client.setNotificationHandler(schemas.LoggingMessageNotificationSchema, ({ params }) => hears.logged(params.level));
  return client;
}

export function revision(_client, transport) {
  return transport.protocolVersion;
}

export function callTool(client, params, options) {
  return client.callTool(params, undefined, options);
}

/** One page. */
export function toolsPage(client, cursor, options) {
  return client.listTools({ cursor }, options);
}

/** Every page of a list, whose method and member are named. */
export async function everyPage(client, method, member, options) {
  const items = [];
  let page;
  do {
    page = await client[method]({ cursor: page?.nextCursor }, options);
    items.push(...page[member]);
  } while (page.nextCursor !== undefined);
  return items;
}
