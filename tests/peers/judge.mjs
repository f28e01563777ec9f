// Judges one run of the conformance suite by what the revision requires and what the baseline knows.
//
//   judge.mjs RESULTS TOPOLOGY REVISION
//
// Prints `ok SCENARIO` or `FAIL SCENARIO: reason` per scenario, `note …` for what the baseline excuses, and at the end
// `score REQUIRED BEYOND`, each as passed/all. Counts scenarios, not checks, and by itself: the suite's own exit code
// knows neither a scenario that did not run nor one whose checks were all skipped.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

// The order in which a check id that occurs several times is judged by its worst occurrence.
const SEVERITY = ['INFO', 'SKIPPED', 'SUCCESS', 'WARNING', 'FAILURE'];

const [results, topology, revision] = process.argv.slice(2);
const suite = new URL('.', import.meta.resolve('@modelcontextprotocol/conformance/package.json'));
const read = (path) => parse(readFileSync(path, 'utf8'));
const baseline = read(new URL('baseline.yaml', import.meta.url));
const required = read(new URL(`requirements/${revision}.yaml`, suite)).server;
const beyond = baseline.also[revision] ?? [];
const expected = baseline.expected[topology][revision] ?? [];

const ran = new Map();
for (const directory of readdirSync(results)) {
  const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\dZ-]+$/.exec(directory)?.[1];
  if (scenario) ran.set(scenario, JSON.parse(readFileSync(join(results, directory, 'checks.json'), 'utf8')));
}

for (const entry of expected) {
  if (![...required, ...beyond].includes(entry.split(':')[0])) {
    console.log(`FAIL baseline: ${entry} names no scenario that is judged`);
  }
}
const score = [required, beyond].map((scenarios) => `${scenarios.filter(passes).length}/${scenarios.length}`);
console.log(`score ${score.join(' ')}`);

/** Prints the scenario's line. */
function passes(scenario) {
  const problems = judge(scenario);
  console.log(problems.length === 0 ? `ok ${scenario}` : `FAIL ${scenario}: ${problems.join('; ')}`);
  return problems.length === 0;
}

function judge(scenario) {
  const checks = worst(ran.get(scenario) ?? []);
  if (![...checks.values()].some((check) => check.status === 'SUCCESS')) return ['no check ran'];
  const problems = [];
  for (const [id, check] of checks) {
    const entry = `${scenario}:${id}`;
    const bad = check.status === 'FAILURE' || check.status === 'WARNING';
    const message = `${id}: ${check.errorMessage ?? check.description}`.replaceAll(/\s+/g, ' ');
    if (bad && expected.includes(entry)) console.log(`note ${scenario}: expected ${check.status} of ${message}`);
    else if (bad) problems.push(`${check.status} of ${message}`);
    else if (check.status === 'SUCCESS' && expected.includes(entry)) problems.push(`${id} passes: remove it from baseline.yaml`);
  }
  return problems;
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
