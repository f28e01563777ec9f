// Judges how the client fared on the servers that no one here wrote, and writes the table of it.
//
//   servers.mjs judge FILE            what `exercise` printed, as `ok FEATURE`, `FAIL FEATURE: reason`, `n/a FEATURE: why`
//   servers.mjs eras SERVER           those that it speaks
//   servers.mjs table DIRECTORY       docs/peers.md, from the files in it
//
// Files are called SERVER-ERA-TRANSPORT.jsonl. What the servers are, and what they do not have, stands in servers.yaml.

import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';

const TRANSPORTS = { http: 'HTTP', stdio: 'stdio' };

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const { features, servers } = parse(read('servers.yaml'));
const [command, ...rest] = process.argv.slice(2);
if (command === 'judge') judge(...rest);
else if (command === 'eras') console.log(servers[rest[0]].eras.join(' '));
else if (command === 'table') console.log(table(rest[0]));
else process.exit(2);

function judge(file) {
  const [server, era, transport] = basename(file, '.jsonl').split('-');
  const absent = { ...elsewhere(era, transport), ...servers[server].absent };
  const reported = outcomes(file);
  for (const feature of Object.keys(features)) {
    const { outcome, why } = reported.get(feature) ?? { outcome: 'failed', why: 'not reported' };
    const excused = absent[feature] !== undefined;
    if (outcome === 'ok' && excused) console.log(`FAIL ${feature}: it is there: remove it from servers.yaml`);
    else if (outcome === 'ok') console.log(`ok ${feature}`);
    else if (outcome === 'n/a' && excused) console.log(`n/a ${feature}: ${absent[feature]}`);
    else console.log(`FAIL ${feature}: ${outcome === 'n/a' ? 'unexpectedly absent: ' : ''}${why.replaceAll(/\s+/g, ' ')}`);
  }
  for (const feature of reported.keys()) {
    if (!(feature in features)) console.log(`FAIL ${feature}: servers.yaml does not know it`);
  }
}

/** The features that are of another era or transport. */
function elsewhere(era, transport) {
  const alien = Object.entries(features).filter(
    ([, feature]) => (feature.era ?? era) !== era || (feature.transport ?? transport) !== transport,
  );
  return Object.fromEntries(alien.map(([name]) => [name, 'not in this era, or not over this transport']));
}

/** What was reported of each feature. */
function outcomes(file) {
  if (!existsSync(file)) return new Map();
  const lines = readFileSync(file, 'utf8').split('\n').filter((line) => line.startsWith('{'));
  return new Map(lines.map((line) => JSON.parse(line)).map((line) => [line.feature, line]));
}

function table(directory) {
  const columns = Object.entries(servers).flatMap(([name, server]) => server.eras.map((era) => ({ name, era, ...server })));
  const runs = (column) =>
    Object.keys(TRANSPORTS).map((transport) => [
      TRANSPORTS[transport],
      outcomes(join(directory, `${column.name}-${column.era}-${transport}.jsonl`)),
    ]);
  const cell = (feature) => (column) => {
    const good = runs(column).filter(([, outcome]) => outcome.get(feature)?.outcome === 'ok');
    return good.map(([transport]) => transport).join(', ') || '–';
  };
  const row = (cells) => `| ${cells.join(' | ')} |`;
  return [
    '# Servers that the client was tried on',
    '',
    '<!-- `./test servers` writes this page and fails when it is stale. -->',
    '',
    'The client of this repository against servers that others wrote, pinned: which features were exercised, over which',
    'transports. *Modern* is 2026-07-28, *legacy* 2025-11-25.',
    '',
    row(['', ...columns.map(({ title, era }) => `${title}, ${era}`)]),
    row(['---', ...columns.map(() => '---')]),
    ...Object.entries(features).map(([feature, { title }]) => row([title, ...columns.map(cell(feature))])),
    '',
    'Versions:',
    '',
    ...Object.values(servers).map((server) => `- ${server.title}: \`${server.package}\` ${version(server.package)}`),
    '',
    'What was not exercised:',
    '',
    ...Object.values(servers).flatMap(({ title, absent = {} }) =>
      Object.entries(absent).map(([feature, why]) => `- ${title}, ${features[feature].title}: ${why}`),
    ),
  ].join('\n');
}

/** The version that this repository pins. */
function version(name) {
  return (
    JSON.parse(read('package.json')).dependencies[name] ??
    new RegExp(`^${name}==(.+)$`, 'm').exec(read('requirements.txt'))?.[1] ??
    new RegExp(`^${name} = \\{ version = "=([^"]+)"`, 'm').exec(read('servers/rmcp/Cargo.toml'))[1]
  );
}
