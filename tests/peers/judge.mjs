// Judges one run of the conformance suite by what the revision requires and what the baseline knows.
//
//   judge.mjs RESULTS TOPOLOGY REVISION
//
// The topology is how the server was put up, or `client` where the suite tried our client. Prints `ok SCENARIO` or
// `FAIL SCENARIO: reason` per scenario, `note …` for what the baseline excuses, and at the end `score REQUIRED BEYOND`,
// each as passed/all; what the baseline lists under `cannot` is no pass. Counts scenarios, not checks, and by itself: the
// suite's own exit code knows neither a scenario that did not run nor one whose checks were all skipped.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse } from 'yaml';

// The order in which a check id that occurs several times is judged by its worst occurrence.
const SEVERITY = ['INFO', 'SKIPPED', 'SUCCESS', 'WARNING', 'FAILURE'];

const [results, topology, revision] = process.argv.slice(2);
const leg = topology === 'client' ? 'client' : 'server';
const suite = new URL('.', import.meta.resolve('@modelcontextprotocol/conformance/package.json'));
const read = (path) => parse(readFileSync(path, 'utf8'));
const baseline = read(new URL('baseline.yaml', import.meta.url));
const pending = baseline.pending[leg] ?? [];
const required = read(new URL(`requirements/${revision}.yaml`, suite))[leg];
const judged = required.filter((scenario) => !pending.includes(scenario));
const beyond = baseline.also[leg][revision] ?? [];
const expected = baseline.expected[topology][revision] ?? [];
/** What excuses the scenario, but does not count as passed. */
const cannot = baseline.cannot?.[topology]?.[revision] ?? {};
const skipped = baseline.skipped[leg]?.[revision] ?? [];

/** Where the results of each scenario are. */
const ran = new Map();
for (const path of readdirSync(results, { recursive: true }).filter((path) => basename(path) === 'checks.json')) {
  const scenario = /^(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\dZ-]+$/.exec(dirname(path))?.[1];
  if (scenario) ran.set(scenario, join(results, dirname(path)));
}

for (const entry of [...expected, ...skipped, ...Object.keys(cannot)]) {
  if (![...judged, ...beyond].includes(entry.split(':')[0])) {
    console.log(`FAIL baseline: ${entry} names no scenario that is judged`);
  }
}
for (const [entry, reason] of Object.entries(cannot)) {
  if (!reason) console.log(`FAIL baseline: ${entry} has no reason`);
}
for (const scenario of pending.filter((scenario) => required.includes(scenario))) {
  if (judge(scenario).length === 0) console.log(`FAIL ${scenario}: passes: remove it from baseline.yaml`);
}
const score = [required, beyond].map((scenarios) => `${scenarios.filter(passes).length}/${scenarios.length}`);
console.log(`score ${score.join(' ')}`);

/** Prints the scenario's line. */
function passes(scenario) {
  if (pending.includes(scenario)) {
    console.log(`note ${scenario}: pending`);
    return false;
  }
  const problems = judge(scenario);
  console.log(problems.length === 0 ? `ok ${scenario}` : `FAIL ${scenario}: ${problems.join('; ')}`);
  return problems.length === 0 && !Object.keys(cannot).some((entry) => entry.startsWith(`${scenario}:`));
}

function judge(scenario) {
  const occurrences = checksOf(scenario);
  const checks = worst(occurrences);
  if (![...checks.values()].some((check) => check.status === 'SUCCESS')) return ['no check ran'];
  const problems = [...judgeSkipped(scenario, occurrences), ...judgeExit(scenario)];
  for (const [id, check] of checks) {
    const entry = `${scenario}:${id}`;
    const bad = check.status === 'FAILURE' || check.status === 'WARNING';
    const message = `${id}: ${check.errorMessage ?? check.description}`.replaceAll(/\s+/g, ' ');
    if (bad && entry in cannot) console.log(`note ${scenario}: cannot ${id}: ${cannot[entry].trim()}`);
    else if (bad && expected.includes(entry)) console.log(`note ${scenario}: expected ${check.status} of ${message}`);
    else if (bad) problems.push(`${check.status} of ${message}`);
    else if (check.status === 'SUCCESS' && (expected.includes(entry) || entry in cannot)) problems.push(`${id} passes: remove it from baseline.yaml`);
  }
  for (const entry of Object.keys(cannot).filter((entry) => entry.startsWith(`${scenario}:`))) {
    if (!checks.has(entry.slice(scenario.length + 1))) problems.push(`${entry} does not run: remove it from baseline.yaml`);
  }
  return problems;
}

function checksOf(scenario) {
  return ran.has(scenario) ? JSON.parse(readFileSync(join(ran.get(scenario), 'checks.json'), 'utf8')) : [];
}

/** What a server skips, the suite's requirements allow; what a client skips, it did not do. */
function judgeSkipped(scenario, checks) {
  if (leg === 'server') return [];
  const names = checks.filter((check) => check.status === 'SKIPPED').map((check) => check.name);
  const known = skipped.filter((entry) => entry.startsWith(`${scenario}:`)).map((entry) => entry.split(':')[1]);
  return [
    ...names.filter((name) => !known.includes(name)).map((name) => `${name} was skipped`),
    ...known.filter((name) => !names.includes(name)).map((name) => `${name} is not skipped: remove it from baseline.yaml`),
  ];
}

/** The suite does not hold it against every client that it ended with an error. */
function judgeExit(scenario) {
  const stderr = join(ran.get(scenario), 'stderr.txt');
  const error = existsSync(stderr) ? /^Error: .*/m.exec(readFileSync(stderr, 'utf8')) : null;
  return error ? [`the client ended with ${error[0]}`] : [];
}

/** The worst occurrence of every check id. */
function worst(checks) {
  const byId = new Map();
  for (const check of checks) {
    const before = byId.get(check.id);
    if (!before || SEVERITY.indexOf(check.status) > SEVERITY.indexOf(before.status)) byId.set(check.id, check);
  }
  return byId;
}
