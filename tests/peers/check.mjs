// What the clients under test have in common: features that are run and reported line by line, and answers to questions.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const FEATURE_LIMIT_MS = 20_000;
export const REQUEST_LIMIT_MS = 10_000;
export const REVISIONS = { modern: '2026-07-28', legacy: '2025-11-25' };

export class NotApplicable extends Error {}

/** Prints the feature's line and tells whether it failed. */
export async function check(name, run) {
  const limit = new AbortController();
  try {
    const late = sleep(FEATURE_LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
      throw new Error(`no end within ${FEATURE_LIMIT_MS} ms`);
    });
    late.catch(() => {});
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    if (error instanceof NotApplicable) console.log(`n/a ${name}: ${error.message}`);
    else console.log(`FAIL ${name}: ${String(error?.message ?? error).replaceAll(/\s+/g, ' ')}`);
    return !(error instanceof NotApplicable);
  } finally {
    limit.abort();
  }
  return false;
}

export async function until(holds, complaint, limit = 5_000) {
  for (const end = Date.now() + limit; !holds(); await sleep(20)) {
    assert.ok(Date.now() < end, complaint);
  }
}

/** An answer that satisfies a form's schema: what it suggests, or else something that fits. */
export function fill(schema) {
  const texts = { email: 'testuser@example.com', uri: 'https://example.com/testuser', date: '1815-12-10' };
  const values = { integer: 7, number: 7.5, boolean: true, array: [] };
  const answer = (field) => {
    if (field.default !== undefined) return field.default;
    if (field.enum) return field.enum[0];
    if (field.oneOf) return field.oneOf[0].const;
    return values[field.type] ?? texts[field.format] ?? 'testuser';
  };
  return Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, answer(field)]));
}

/** The texts of a tool's answer. */
export function text(result) {
  return result.content.map((block) => block.text ?? '').join('\n');
}

/** How often the line stands in the logs. */
export function occurrences(logs, line) {
  return logs.map((path) => readFileSync(path, 'utf8')).join('\n').split(line).length - 1;
}

/** `fetch`, which counts in `seen.getStreams` the streams that GET opened. */
export function watchedFetch(seen) {
  return async (url, init) => {
    const response = await fetch(url, init);
    const streams = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (init?.method === 'GET' && response.ok && streams) seen.getStreams += 1;
    return response;
  };
}
