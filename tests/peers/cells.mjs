// Writes the table of the four cells from what the clients reported.
//
//   cells.mjs clients            each CLIENT-ERA, one a line
//   cells.mjs servers            each SERVER ERA SESSIONS, one a line
//   cells.mjs table DIRECTORY    docs/gateway-cells.md, from the files in it, called CLIENT-ERA-SERVER-ERA.verdict

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const { features, clients, servers } = parse(read('cells.yaml'));
const row = (cells) => `| ${cells.join(' | ')} |`;
const [command, directory] = process.argv.slice(2);
const sides = {
  clients: Object.entries(clients).flatMap(([name, client]) => client.eras.map((era) => ({ name, era, ...client }))),
  servers: Object.entries(servers).flatMap(([name, server]) =>
    Object.entries(server.eras).map(([era, sessions]) => ({ name, era, sessions, ...server })),
  ),
};
if (command === 'clients') for (const { name, era } of sides.clients) console.log(`${name} ${era}`);
else if (command === 'servers') for (const { name, era, sessions } of sides.servers) console.log(`${name} ${era} ${sessions}`);
else if (command === 'table') console.log(table());
else process.exit(2);

function table() {
  const pairs = ['modern', 'legacy'].flatMap((clientEra) =>
    ['modern', 'legacy'].flatMap((serverEra) =>
      sides.clients
        .filter(({ era }) => era === clientEra)
        .flatMap((client) => sides.servers.filter(({ era }) => era === serverEra).map((server) => ({ client, server }))),
    ),
  );
  for (const pair of pairs) pair.outcomes = outcomes(pair);
  return [
    '# The four cells',
    '',
    '<!-- `./test cells` writes this page and fails when it is stale. -->',
    '',
    'Clients that others wrote, on servers that others wrote, through the gateway: two replicas of it behind nginx in strict',
    'alternation, before two pods of each server. *Modern* is 2026-07-28, *legacy* 2025-11-25.',
    '',
    row(['Client', 'Server', ...Object.values(features)]),
    row(['---', '---', ...Object.keys(features).map(() => ':-:')]),
    ...pairs.map(({ client, server, outcomes }) =>
      row([
        `${client.title}, ${client.era}`,
        `${server.title}, ${server.era}`,
        ...Object.keys(features).map((feature) => mark(outcomes.get(feature))),
      ]),
    ),
    '',
    'Servers keep `sessions = "shared"`, the default, except server-everything, which keeps things in its sessions and has',
    '`"pinned"`.',
    '',
    'Versions:',
    '',
    ...versions(),
    '',
    'What was not exercised:',
    '',
    ...notExercised(pairs),
  ].join('\n');
}

/** What a client reported of each feature on a server. */
function outcomes({ client, server }) {
  const path = join(directory, `${client.name}-${client.era}-${server.name}-${server.era}.verdict`);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const parsed = lines.map((line) => /^(ok|FAIL|n\/a) ([a-z]+)(?:: (.*))?$/.exec(line)).filter(Boolean);
  return new Map(parsed.map(([, outcome, feature, why]) => [feature, { outcome, why }]));
}

function mark(outcome) {
  if (outcome?.outcome === 'ok') return '✓';
  return outcome?.outcome === 'n/a' ? '–' : 'fails';
}

/** Each reason once, with the clients for which it holds unless it holds for all. */
function notExercised(pairs) {
  return sides.servers.flatMap((server) =>
    Object.entries(features).flatMap(([feature, title]) => {
      const here = pairs.filter((pair) => pair.server === server);
      const absent = here.filter((pair) => pair.outcomes.get(feature)?.outcome === 'n/a');
      const whys = [...new Set(absent.map((pair) => pair.outcomes.get(feature).why))];
      return whys.map((why) => {
        const those = absent.filter((pair) => pair.outcomes.get(feature).why === why).map(({ client }) => client);
        const whom = those.length === here.length ? '' : ` (${[...new Set(those.map(({ era }) => `${era} clients`))].join(', ')})`;
        return `- ${server.title}, ${server.era}, ${title}${whom}: ${why}`;
      });
    }),
  );
}

/** The versions that this repository pins. */
function versions() {
  const pinned = { ...JSON.parse(read('package.json')).dependencies };
  for (const [, name, version] of read('requirements.txt').matchAll(/^([\w-]+)==(.+)$/gm)) pinned[name] ??= version;
  const packages = new Map();
  for (const { title, package: name } of [...Object.values(clients), ...Object.values(servers)]) {
    packages.set(title, (packages.get(title) ?? new Set()).add(`\`${name}\` ${pinned[name]}`));
  }
  return [...packages].map(([title, names]) => `- ${title}: ${[...names].join(', ')}`);
}
